import { status, type ServiceError } from '@grpc/grpc-js'
import { MetadataError } from '../errors.ts'

/**
 * What became of one request to one member, as far as it concerns what to do next.
 *
 *   unsent       no connection: nothing was done
 *   refused      the member said no for now: nothing was done
 *   unclear      it may have been done, and may still be done later
 *   full         the quota is used up; etcd says this of changes that it made as well as of those it did not make
 *   stale-token  nothing was done; a new token is wanted
 *   compacted    the revision that was asked for is gone
 *   no-lease     there is no such lease; nothing was done
 *   too-large    past a limit of the server; nothing was done
 *   denied       wrong name, password or certificate, or no right to these keys; nothing was done
 *   replaced     the answer comes from another store, or from this one set back to an earlier state
 */
export type FailureKind =
  | 'unsent'
  | 'refused'
  | 'unclear'
  | 'full'
  | 'stale-token'
  | 'compacted'
  | 'no-lease'
  | 'too-large'
  | 'denied'
  | 'replaced'

/** Never leaves the driver: what callers see is a MetadataError. */
export class EtcdFailure extends Error {
  override readonly name = 'EtcdFailure'
  readonly kind: FailureKind

  constructor(kind: FailureKind, message: string, cause?: unknown) {
    super(message, cause === undefined ? {} : { cause })
    this.kind = kind
  }

  /** May the change that was asked for have been made, or yet be made? */
  get isUnclear(): boolean {
    return this.kind === 'unclear' || this.kind === 'full'
  }

  /** May the same request soon succeed, here or at another member? */
  get isPassing(): boolean {
    return this.kind === 'unsent' || this.kind === 'refused' || this.kind === 'unclear'
  }
}

/** By etcd's own words, where a status code has several meanings. Server versions since 3.4 agree on them. */
const BY_WORDS: readonly (readonly [RegExp, FailureKind])[] = [
  [/database space exceeded/, 'full'],
  [/invalid auth token|revision of auth store is old/, 'stale-token'],
  [/required revision has been compacted/, 'compacted'],
  [/requested lease not found/, 'no-lease'],
  [/request is too large|too many operations|message larger than max/, 'too-large'],
  [/permission denied|user name is empty|authentication failed|role name is empty/, 'denied'],
  // said before anything is proposed
  [/too many requests|no leader|required revision is a future revision/, 'refused']
]

export function failureOf(error: ServiceError): EtcdFailure {
  const text = error.details
  const kind = BY_WORDS.find(([words]) => words.test(text))?.[1]
  if (kind !== undefined) return new EtcdFailure(kind, text, error)
  if (error.code === status.PERMISSION_DENIED) return new EtcdFailure('denied', text, error)
  return new EtcdFailure('unclear', text, error)
}

/** For callers of the store. What is not an EtcdFailure stays as it is. */
export function metadataErrorOf(error: unknown): unknown {
  if (!(error instanceof EtcdFailure)) return error
  const details = { reason: error.message }
  switch (error.kind) {
    case 'unsent':
    case 'refused':
    case 'unclear':
    case 'stale-token':
    case 'compacted':
      return MetadataError.create('UNAVAILABLE', details, error)
    case 'full':
      return MetadataError.create('NO_SPACE', details, error)
    case 'no-lease':
      return MetadataError.create('LEASE_LOST', details, error)
    case 'too-large':
      return MetadataError.create('TOO_LARGE', details, error)
    case 'denied':
      return MetadataError.create('DENIED', details, error)
    case 'replaced':
      return MetadataError.create('STORE_REPLACED', details, error)
  }
}
