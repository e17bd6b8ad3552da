import type { LedgerState } from './generated/ledger-client_pb.ts'
import { RowReader } from './row-reader.ts'

/** A LedgerRow as it stands in the store, nothing of it checked. */
export interface StoredLedger {
  ensembleSize?: number
  writeQuorum?: number
  ackQuorum?: number
  state?: LedgerState
  entryCount?: bigint | number
  lengthBytes?: bigint | number
  ensembles: StoredEnsemble[]
  owner?: string
  operationId?: string
  createdAtMs?: bigint | number
  primaryGroups: string[]
  secondaryGroups: string[]
}

interface StoredEnsemble {
  firstEntryId?: bigint | number
  bookies: string[]
}

const VERSION = 1
/** Tags: a field's number and how it is written. */
const varint = (field: number): number => field << 3
const bytes = (field: number): number => (field << 3) | 2

const TAG = {
  ensembleSize: varint(1),
  writeQuorum: varint(2),
  ackQuorum: varint(3),
  state: varint(4),
  entryCount: varint(5),
  lengthBytes: varint(6),
  ensemble: bytes(7),
  owner: bytes(8),
  operationId: bytes(9),
  createdAtMs: varint(10),
  primaryGroup: bytes(11),
  secondaryGroup: bytes(12),
  firstEntryId: varint(1),
  bookie: bytes(2)
} as const

/**
 * The row of a ledger as `LedgerRowSchema` reads it, without the schema's detours: whoever looks at many ledgers does little
 * else. undefined: something stands in it that `encodeLedger` does not write, or it is no row: the schema is to read it.
 */
export function readLedgerRow(value: Uint8Array): StoredLedger | undefined {
  if (value[0] !== VERSION) return undefined
  const row: StoredLedger = { ensembles: [], primaryGroups: [], secondaryGroups: [] }
  const reader = new RowReader(value, 1, value.length)
  while (!reader.isAtEnd) readField(reader, row)
  return reader.isStrange ? undefined : row
}

function readField(reader: RowReader, row: StoredLedger): void {
  switch (reader.number()) {
    case TAG.ensembleSize:
      row.ensembleSize = reader.small()
      return
    case TAG.writeQuorum:
      row.writeQuorum = reader.small()
      return
    case TAG.ackQuorum:
      row.ackQuorum = reader.small()
      return
    case TAG.state:
      row.state = reader.small() as LedgerState // whether there is such a one is checked behind this
      return
    case TAG.entryCount:
      row.entryCount = reader.number()
      return
    case TAG.lengthBytes:
      row.lengthBytes = reader.number()
      return
    case TAG.ensemble:
      row.ensembles.push(readEnsemble(reader))
      return
    case TAG.owner:
      row.owner = reader.text()
      return
    case TAG.operationId:
      row.operationId = reader.text()
      return
    case TAG.createdAtMs:
      row.createdAtMs = reader.number()
      return
    case TAG.primaryGroup:
      row.primaryGroups.push(reader.text())
      return
    case TAG.secondaryGroup:
      row.secondaryGroups.push(reader.text())
      return
    default:
      reader.strange()
  }
}

function readEnsemble(outer: RowReader): StoredEnsemble {
  const ensemble: StoredEnsemble = { bookies: [] }
  const reader = outer.message()
  while (!reader.isAtEnd) {
    const tag = reader.number()
    if (tag === TAG.firstEntryId) ensemble.firstEntryId = reader.number()
    else if (tag === TAG.bookie) ensemble.bookies.push(reader.text())
    else reader.strange()
  }
  if (reader.isStrange) outer.strange()
  return ensemble
}
