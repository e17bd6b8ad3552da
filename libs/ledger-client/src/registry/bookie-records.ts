import { bookieId, type BookieId } from '@strata/base'
import { decodeSegment, encodeSegment, rowCodec } from '@strata/metadata'
import { LedgerError } from '../errors.ts'
import { BookieRowSchema, BookieState } from '../generated/ledger-client_pb.ts'

/** Values are stored in format version 1, see proto/storage/ledger-client.proto. */
const codec = rowCodec({
  version: 1,
  unreadable: ({ cause, ...problem }) => LedgerError.create('METADATA_CORRUPT', { ...problem }, cause)
})

export const AVAILABLE_BOOKIES_PREFIX = 'available-bookies/'

/** A storage node that runs, as it says of itself. */
export interface AvailableBookie {
  readonly bookieId: BookieId
  /** host:port of gRPC. */
  readonly address: string
  /** host:port; empty: the node serves no HTTP that others reach. */
  readonly httpAddress: string
  /** Empty: the node shares none with any other. */
  readonly rack: string
  readonly host: string
  /** That an operator put it in; nodes do not say it themselves. */
  readonly group?: string
  readonly freeBytes: number
  readonly totalBytes: number
  /**
   * decommissioning: takes the adds of ledgers that it has, and no new ledgers. set-aside: it does not know the metadata store
   * as the one that it left, and nobody is to use it but those who put that right.
   */
  readonly state: 'writable' | 'read-only' | 'decommissioning' | 'set-aside'
  readonly softwareVersion: string
  readonly incarnation: number
  readonly startedAtMs: number
  /** Why it takes no adds, one line each. */
  readonly reasons: readonly string[]
  /** Of a node that is set aside: how often it has signed the store that it left. */
  readonly signedCount?: number
  /** What its build can do, by name. */
  readonly capabilities?: readonly string[]
}

export const availableBookieKey = (id: BookieId): string => AVAILABLE_BOOKIES_PREFIX + encodeSegment(id)

/** The node that a key under `available-bookies/` names; undefined: none. */
export function bookieIdOfKey(key: string): BookieId | undefined {
  const id = decodeSegment(key.slice(AVAILABLE_BOOKIES_PREFIX.length))
  return id === undefined || id === '' ? undefined : bookieId(id)
}

const STATES = {
  writable: BookieState.WRITABLE,
  'read-only': BookieState.READ_ONLY,
  decommissioning: BookieState.DECOMMISSIONING,
  'set-aside': BookieState.SET_ASIDE
} as const

const REASONS_MAX = 10
const REASON_CHARS_MAX = 300

export function encodeAvailableBookie(bookie: AvailableBookie): Buffer {
  const { address, httpAddress, rack, host, softwareVersion } = bookie
  return codec.encode(BookieRowSchema, {
    ...{ address, httpAddress, rack, host, softwareVersion },
    freeBytes: BigInt(Math.round(bookie.freeBytes)),
    totalBytes: BigInt(Math.round(bookie.totalBytes)),
    state: STATES[bookie.state],
    incarnation: BigInt(bookie.incarnation),
    startedAtMs: BigInt(Math.round(bookie.startedAtMs)),
    reasons: bookie.reasons.slice(0, REASONS_MAX).map(reason => reason.slice(0, REASON_CHARS_MAX)),
    ...(bookie.signedCount === undefined ? {} : { signedCount: BigInt(bookie.signedCount) }),
    capabilities: [...(bookie.capabilities ?? [])]
  })
}

/** @throws LedgerError METADATA_CORRUPT */
export function decodeAvailableBookie(id: BookieId, bytes: Uint8Array): AvailableBookie {
  const row = codec.decode(BookieRowSchema, bytes, id)
  return {
    bookieId: id,
    address: row.address ?? '',
    httpAddress: row.httpAddress ?? '',
    rack: row.rack ?? '',
    host: row.host ?? '',
    freeBytes: Number(row.freeBytes ?? 0n),
    totalBytes: Number(row.totalBytes ?? 0n),
    state: stateOf(row.state),
    softwareVersion: row.softwareVersion ?? '',
    incarnation: Number(row.incarnation ?? 0n),
    startedAtMs: Number(row.startedAtMs ?? 0n),
    reasons: row.reasons,
    ...(row.signedCount === undefined ? {} : { signedCount: Number(row.signedCount) }),
    ...(row.capabilities.length === 0 ? {} : { capabilities: row.capabilities })
  }
}

/** A state that this version does not know is none in which new ledgers may be put there. */
function stateOf(state: BookieState | undefined): AvailableBookie['state'] {
  if (state === BookieState.WRITABLE) return 'writable'
  if (state === BookieState.SET_ASIDE) return 'set-aside'
  return state === BookieState.DECOMMISSIONING ? 'decommissioning' : 'read-only'
}
