import { CodedError, defineErrors, reasonOf } from '@strata/base'

export const standaloneErrors = defineErrors({
  DATA_UNUSABLE: { retryable: false, summary: 'the data directory cannot be used' }
})

/** One line for the person who starts it: what is wrong, and which flag or key to change. */
function startError(code: keyof (typeof standaloneErrors)['table'], line: string, cause: unknown): CodedError {
  const error = standaloneErrors.create(code, {}, cause)
  error.message = line
  return error
}

/** What opening the storage or the metadata can say, as a line that names --data or the key. */
export function dataError(cause: unknown, data: string): unknown {
  if (!(cause instanceof CodedError)) {
    return startError('DATA_UNUSABLE', `${data} cannot be used (${reasonOf(cause)}): choose another with --data`, cause)
  }
  const { pid, freeBytes, movedTo } = cause.details
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
    case 'STORE_SEALED': {
      const advice = 'start its storage as a node of that cluster, or choose another with --data'
      return startError('DATA_UNUSABLE', `${data} was moved to ${String(movedTo)}: ${advice}`, cause)
    }
    case 'DISK_TOO_SMALL': {
      const free = typeof freeBytes === 'number' ? ` (${Math.floor(freeBytes / 1024 / 1024)} MB free)` : ''
      const advice = 'free some, choose another disk with --data, or lower strataDiskReserveMB'
      return startError('DATA_UNUSABLE', `too little disk space for ${data}${free}: ${advice}`, cause)
    }
    default:
      return cause
  }
}
