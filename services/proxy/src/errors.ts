import { defineErrors, type CodedError } from '@strata/base'

export const proxyErrors = defineErrors({
  TARGET_DENIED: { retryable: false, summary: 'a client asked to be connected to what is no broker of the cluster' },
  NO_BROKER: { retryable: true, summary: 'the proxy knows of no broker that lives' },
  BROKER_UNREACHABLE: { retryable: true, summary: 'the proxy could not connect to a broker' },
  LOGINS_FAILED: { retryable: true, summary: 'too many logins from an address of a client failed' },
  BROKER_REFUSED: { retryable: true, summary: 'a broker refused the connection of the proxy' },
  PROXY_PORT_TAKEN: { retryable: false, summary: 'another program listens on a port of the proxy' },
  PROXY_ADDRESS_REFUSED: { retryable: false, summary: 'the system does not let the proxy listen on an address' }
})

/** Listening failed: one line for who starts it, with the key that names the port or the address. */
export function listenError(cause: unknown, at: { key: string; port: number; address: string }): CodedError {
  const system = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown'
  const where = `${at.address}:${at.port}`
  if (system === 'EADDRINUSE') {
    const error = proxyErrors.create('PROXY_PORT_TAKEN', {}, cause)
    error.message = `${where} is taken by another program: set ${at.key} to another port (0 takes a free one)`
    return error
  }
  const error = proxyErrors.create('PROXY_ADDRESS_REFUSED', {}, cause)
  error.message = `cannot listen on ${where} (${system}): change bindAddress or ${at.key}`
  return error
}
