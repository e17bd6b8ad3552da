import { defineErrors, type CodedError } from '@strata/base'

export const brokerServerErrors = defineErrors({
  PORT_TAKEN: { retryable: false, summary: 'another program listens on a port of the broker' },
  ADDRESS_REFUSED: { retryable: false, summary: 'the system does not let the broker listen on an address' },
  CLUSTER_SERVED: { retryable: true, summary: 'a broker that does not share serves the topics of the cluster' }
})

/** One line for the person who starts it: what is wrong, and what to do or which key to change. */
export function startError(
  code: keyof (typeof brokerServerErrors)['table'],
  line: string,
  cause?: unknown
): CodedError {
  const error = brokerServerErrors.create(code, {}, cause)
  error.message = line
  return error
}

/** Listening failed: says which key names the port or the address. */
export function listenError(cause: unknown, at: { key: string; port: number; address: string }): CodedError {
  const system = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown'
  const where = `${at.address}:${at.port}`
  if (system === 'EADDRINUSE') {
    const advice = `set ${at.key} to another port (0 takes a free one)`
    return startError('PORT_TAKEN', `${where} is taken by another program: ${advice}`, cause)
  }
  const advice = `change bindAddress or ${at.key}`
  return startError('ADDRESS_REFUSED', `cannot listen on ${where} (${system}): ${advice}`, cause)
}
