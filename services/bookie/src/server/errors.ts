import { CodedError, defineErrors, reasonOf } from '@strata/base'
import { systemCode } from '../errors.ts'

export const bookieServerErrors = defineErrors({
  PORT_TAKEN: { retryable: false, summary: 'another program listens on a port of the node' },
  ADDRESS_REFUSED: { retryable: false, summary: 'the system does not let the node listen on an address' },
  OPEN_TO_STRANGERS: { retryable: false, summary: 'others can reach the node, and nobody is asked who they are' },
  CREDENTIALS_UNUSABLE: { retryable: false, summary: 'a secret, certificate or key cannot be used' },
  DISK_UNUSABLE: { retryable: false, summary: 'a directory of the node cannot be used' },
  STORE_NAMELESS: { retryable: false, summary: 'the metadata store lost the name of its cluster' },
  SUPERSEDED: { retryable: false, summary: 'another process runs this node, on a newer copy of its disk' }
})

/** One line for the person who starts it: what is wrong, and which key to change. */
export function startError(
  code: keyof (typeof bookieServerErrors)['table'],
  line: string,
  cause?: unknown
): CodedError {
  const error = bookieServerErrors.create(code, {}, cause)
  error.message = line
  return error
}

/** Listening failed: says which key names the port or the address. */
export function listenError(
  cause: unknown,
  at: { portKey: string; port: number; hostKey: string; host: string }
): CodedError {
  const where = `${at.host}:${at.port}`
  const system = systemCode(cause)
  if (system === 'EADDRINUSE') {
    const advice = `set ${at.portKey} to another port (0 takes a free one)`
    return startError('PORT_TAKEN', `${where} is taken by another program: ${advice}`, cause)
  }
  const advice = `change ${at.hostKey} or ${at.portKey}`
  return startError('ADDRESS_REFUSED', `cannot listen on ${where} (${system}): ${advice}`, cause)
}

/** What opening the storage can say, as a line that names keys. */
export function diskError(cause: unknown): unknown {
  const keys = 'journalDirectories, ledgerDirectories'
  if (!(cause instanceof CodedError)) {
    return startError('DISK_UNUSABLE', `the disk cannot be used (${reasonOf(cause)}): change ${keys}`, cause)
  }
  const { directory, pid, freeBytes, expected, found } = cause.details
  switch (String(cause.code)) {
    case 'DIRECTORY_IN_USE':
      return startError(
        'DISK_UNUSABLE',
        `${String(directory)} is in use by process ${String(pid)}: stop it, or change ${keys}`,
        cause
      )
    case 'DIRECTORY_UNWRITABLE':
      return startError(
        'DISK_UNUSABLE',
        `${String(directory)} cannot be written: change its permissions, or ${keys}`,
        cause
      )
    case 'DISK_TOO_SMALL': {
      const free = typeof freeBytes === 'number' ? `${Math.floor(freeBytes / 1024 / 1024)} MB free` : 'little free'
      const advice = `free some, change ${keys}, or lower strataDiskReserveMB`
      return startError('DISK_UNUSABLE', `too little disk space for ${String(directory)} (${free}): ${advice}`, cause)
    }
    case 'WRONG_CLUSTER': {
      const line = `the disk is of another cluster than the metadata store (${String(found)}, not ${String(expected)})`
      return startError('DISK_UNUSABLE', `${line}: change metadataStoreUrl, or ${keys}`, cause)
    }
    case 'WRONG_VOLUME': {
      const line = `the directories are not those of node ${String(expected)}`
      return startError('DISK_UNUSABLE', `${line}: change bookieId (empty takes the disk's own), or ${keys}`, cause)
    }
    default:
      return cause
  }
}
