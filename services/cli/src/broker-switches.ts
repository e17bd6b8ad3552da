import { configErrors } from '@strata/base'
import { unavailableSwitches, type BrokerSettings } from '@strata/broker'

/** @throws CodedError BAD_SETTING, one line for each switch that is on and names what Strata does not have */
export function refuseUnavailable(settings: BrokerSettings): void {
  const unavailable = unavailableSwitches(settings)
  if (unavailable.length === 0) return
  const error = configErrors.create('BAD_SETTING', { unavailable })
  error.message = unavailable.join('\n')
  throw error
}
