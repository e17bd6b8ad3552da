import { asError, CodedError, entryId, type BookieId, type EntryId, type LedgerId } from '@strata/base'
import {
  fillPlaces,
  LedgerRecovery,
  type Blocker,
  type Ensemble,
  type EntryAdd,
  type LedgerEnd,
  type RecoverySink
} from '@strata/ledger-protocol'
import type { AddSink, BookieDirectory, NodeChoice } from './contract.ts'
import { eligibleNodes } from './eligible-nodes.ts'
import { LedgerError } from './errors.ts'
import type { FailedNodes } from './failed-nodes.ts'
import { present, type LedgerMetadata, type VersionedLedger } from './ledger-metadata.ts'
import type { LedgerRecord } from './ledger-records.ts'

const READ_BYTES_MAX = 1024 * 1024
/** Small entries are many: what a writer had on its way is to be had in a few reads, each of which waits for the one before. */
const READ_ENTRIES_MAX = 4_000
const LAST_ENTRY = entryId(Number.MAX_SAFE_INTEGER - 1)

export interface RecoveryDoors {
  readonly directory: BookieDirectory
  readonly choice?: NodeChoice | undefined
  readonly metadata: LedgerMetadata
  readonly failedNodes: FailedNodes
  readonly random: () => number
}

interface Found {
  readonly end: LedgerEnd
  readonly ensembles: readonly Ensemble[]
}

/**
 * Takes a ledger over from whoever was writing it, and closes it. Safe from several processes at once: the version of the
 * metadata decides, and who loses adopts the winner's end.
 * @throws LedgerError NO_SUCH_LEDGER, RECOVERY_BLOCKED
 */
export async function recoverLedger(id: LedgerId, doors: RecoveryDoors): Promise<LedgerEnd> {
  for (;;) {
    const ledger = present(id, await doors.metadata.read(id))
    if (ledger.record.end !== undefined) return ledger.record.end
    const taken = await takeOver(id, ledger, doors)
    if (taken === undefined) continue
    const found = await findEnd(id, taken, doors)
    if ((await doors.metadata.close(id, taken, found)) !== undefined) return found.end
  }
}

/** undefined: someone changed the ledger meanwhile. */
async function takeOver(
  id: LedgerId,
  ledger: VersionedLedger,
  { metadata }: RecoveryDoors
): Promise<VersionedLedger | undefined> {
  if (ledger.record.state === 'in-recovery') return ledger
  return metadata.replace(id, ledger, { ...ledger.record, state: 'in-recovery' })
}

function findEnd(id: LedgerId, { record }: VersionedLedger, doors: RecoveryDoors): Promise<Found> {
  const { directory } = doors
  return new Promise((resolve, reject) => {
    const shell: RecoverySink = {
      fence: bookie => fence(bookie),
      read: (bookie, first) => read(bookie, first),
      writeBack: (bookie, add) => writeBack(bookie, add),
      replacementFor: (index, options) => replacementFor(index, { ...options, ...doors, record }),
      onEnd: (end, ensembles) => resolve({ end, ensembles }),
      onBlocked: blockers => reject(blocked(id, blockers))
    }
    const recovery = new LedgerRecovery({
      ledgerId: id,
      quorum: record.quorum,
      ensembles: record.ensembles,
      sink: shell
    })

    const unreachable = (bookie: BookieId) => (error: unknown) => {
      if (error instanceof CodedError) recovery.onUnreachable(bookie)
      else reject(asError(error))
    }
    const runs = new Map<BookieId, WriteBacks>()
    const missing = (bookie: BookieId): void => queueMicrotask(() => recovery.onUnreachable(bookie))

    function fence(bookie: BookieId): void {
      const node = directory.node(bookie)
      if (node === undefined) {
        missing(bookie)
        return
      }
      node.readLac({ ledgerId: id, fence: true }).then(({ lac }) => recovery.onFenced(bookie, lac), unreachable(bookie))
    }

    function read(bookie: BookieId, first: EntryId): void {
      const node = directory.node(bookie)
      if (node === undefined) {
        missing(bookie)
        return
      }
      const limits = { first, last: LAST_ENTRY, bytesMax: READ_BYTES_MAX, entriesMax: READ_ENTRIES_MAX }
      node
        .read({ ledgerId: id, ...limits, fence: true })
        .then(answer => recovery.onRead(bookie, first, answer), unreachable(bookie))
    }

    function writeBack(bookie: BookieId, add: EntryAdd): void {
      const node = directory.node(bookie)
      if (node === undefined) {
        queueMicrotask(() => recovery.onNotWritten(bookie, add.entryId))
        return
      }
      let run = runs.get(bookie)
      if (run?.takes(add.entryId) !== true) {
        run = new WriteBacks(bookie, recovery)
        runs.set(bookie, run)
      }
      run.note(add.entryId)
      node.add(add, run)
    }

    recovery.start()
  })
}

/**
 * What is written back to one node, in ascending order: an answer of a node stands for all that went through the same sink
 * before it. What comes out of order goes through another. Many entries are one channel and few answers so.
 */
class WriteBacks implements AddSink {
  readonly #bookie: BookieId
  readonly #recovery: LedgerRecovery
  /** Not answered; all of them ascending. */
  #ids: EntryId[] = []
  #head = 0
  #last = -1

  constructor(bookie: BookieId, recovery: LedgerRecovery) {
    this.#bookie = bookie
    this.#recovery = recovery
  }

  takes(id: EntryId): boolean {
    return id > this.#last
  }

  note(id: EntryId): void {
    this.#ids.push(id)
    this.#last = id
  }

  onAdded(_: LedgerId, through: EntryId): void {
    for (const id of this.#take(through)) this.#recovery.onWrittenBack(this.#bookie, id)
  }

  onAddFailed(_: LedgerId, through: EntryId): void {
    this.#recovery.onNotWritten(this.#bookie, ...this.#take(through))
  }

  #take(through: EntryId): EntryId[] {
    const from = this.#head
    while ((this.#ids[this.#head] ?? Infinity) <= through) this.#head += 1
    const taken = this.#ids.slice(from, this.#head)
    if (this.#head === this.#ids.length) {
      this.#ids = []
      this.#head = 0
    }
    return taken
  }
}

function replacementFor(
  index: number,
  options: RecoveryDoors & { ensemble: readonly BookieId[]; failed: ReadonlySet<BookieId>; record: LedgerRecord }
): BookieId | undefined {
  const { ensemble, failed, record, failedNodes, random } = options
  return fillPlaces({
    writable: eligibleNodes(options, record),
    quorum: record.quorum,
    places: ensemble.map((bookie, place) => (place === index ? undefined : bookie)),
    excluded: [...ensemble, ...failed],
    avoided: failedNodes.recent(),
    seed: random()
  })[index]
}

function blocked(id: LedgerId, blockers: readonly Blocker[]): Error {
  return LedgerError.create('RECOVERY_BLOCKED', { ledgerId: id, blockers })
}
