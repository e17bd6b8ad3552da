import { CodedError, defineErrors, reasonOf } from '@strata/base'

export const standaloneErrors = defineErrors({
  PORT_TAKEN: { retryable: false, summary: 'another program listens on a port of the standalone' },
  ADDRESS_REFUSED: { retryable: false, summary: 'the system does not let the standalone listen on an address' },
  DATA_UNUSABLE: { retryable: false, summary: 'the data directory cannot be used' }
})

/** One line for the person who starts it: what is wrong, and which flag or key to change. */
export function startError(code: keyof (typeof standaloneErrors)['table'], line: string, cause: unknown): CodedError {
  const error = standaloneErrors.create(code, {}, cause)
  error.message = line
  return error
}

/** Listening failed: says which key names the port or the address. */
export function listenError(cause: unknown, keys: { port: string; portValue: number; address: string }): CodedError {
  const system = systemCode(cause)
  const where = `${keys.address}:${keys.portValue}`
  if (system === 'EADDRINUSE') {
    const advice = `set ${keys.port} to another port (0 takes a free one)`
    return startError('PORT_TAKEN', `${where} is taken by another program: ${advice}`, cause)
  }
  const advice = `change bindAddress or ${keys.port}`
  return startError('ADDRESS_REFUSED', `cannot listen on ${where} (${system}): ${advice}`, cause)
}

/** What opening the storage or the metadata can say, as a line that names --data or the key. */
export function dataError(cause: unknown, data: string): unknown {
  if (!(cause instanceof CodedError)) {
    return startError('DATA_UNUSABLE', `${data} cannot be used (${reasonOf(cause)}): choose another with --data`, cause)
  }
  const { pid, freeBytes } = cause.details
  switch (cause.code) {
    case 'DIRECTORY_IN_USE':
      return startError(
        'DATA_UNUSABLE',
        `${data} is in use by process ${String(pid)}: stop it, or choose another with --data`,
        cause
      )
    case 'DIRECTORY_UNWRITABLE':
      return startError(
        'DATA_UNUSABLE',
        `${data} cannot be written: change its permissions, or choose another with --data`,
        cause
      )
    case 'DISK_TOO_SMALL': {
      const free = typeof freeBytes === 'number' ? ` (${Math.floor(freeBytes / 1024 / 1024)} MB free)` : ''
      const advice = 'free some, choose another disk with --data, or lower strataDiskReserveMB'
      return startError('DATA_UNUSABLE', `too little disk space for ${data}${free}: ${advice}`, cause)
    }
    default:
      return cause
  }
}

function systemCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
}
