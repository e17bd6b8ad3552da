import type { Clock, Logger } from '@strata/base'
import type { BrokerDirectory } from '../brokers/broker-directory.ts'
import type { TargetCheck } from '../brokers/target-check.ts'
import type { ProxyMetrics } from '../metrics.ts'
import type { ProxySettings } from '../settings.ts'

/** What all connections of a proxy share. */
export interface ProxyServices {
  readonly settings: ProxySettings
  readonly clock: Clock
  readonly logger: Logger
  readonly directory: BrokerDirectory
  readonly targets: TargetCheck
  readonly metrics: ProxyMetrics
  /** Of this program, for brokers and clients. */
  readonly version: string
}

/** What -1 is on the wire: an error that answers no request. */
export const NO_REQUEST = 0xffff_ffff_ffff_ffffn
