import { defineErrors } from '@strata/base'

export const wireErrors = defineErrors({
  MALFORMED_FRAME: {
    retryable: false,
    summary: 'the peer sent bytes that are not the protocol; its connection must be closed'
  }
})

/** Refuses the peer's bytes: they are data, so this is never an assert. `offset` counts from the start of the buffer. */
export function refuse(reason: string, offset: number): never {
  throw wireErrors.create('MALFORMED_FRAME', { reason, offset })
}
