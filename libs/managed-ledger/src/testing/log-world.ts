import { ManualClock } from '@strata/base/testing'
import { MemoryMetadataStore } from '@strata/metadata'
import type { Entry, ManagedLedger, ManagedLedgerFactory, ManagedLedgerOptions } from '../contract.ts'
import { createManagedLedgerFactory } from '../factory.ts'
import { MemoryLedgers, type MemoryLedgerClient } from './memory-ledgers.ts'

export const KEEP_ALL: ManagedLedgerOptions & { create: boolean } = {
  create: true,
  retention: { timeMs: -1, sizeBytes: -1 },
  rollover: { entriesMax: 1_000_000, bytesMax: 1 << 30, ageMsMin: 0, ageMsMax: 3_600_000 }
}

const TURNS_MAX = 10_000

export interface Owner {
  readonly factory: ManagedLedgerFactory
  readonly client: MemoryLedgerClient
}

/** Stores that outlive any number of owners. */
export class LogWorld {
  readonly clock = new ManualClock()
  readonly metadata = new MemoryMetadataStore()
  readonly ledgers = new MemoryLedgers()

  /** Lets everything that is on its way arrive, turn by turn, until the condition holds. */
  async until(isTrue: () => boolean): Promise<void> {
    for (let turn = 0; turn < TURNS_MAX; turn++) {
      if (isTrue()) return
      await new Promise<void>(resolve => setImmediate(resolve))
    }
    throw new Error('it never became true')
  }

  owner(options: { cursorLedgerBytesMax?: number; cacheBytesMax?: number } = {}): Owner {
    const client = this.ledgers.client()
    const factory = createManagedLedgerFactory({
      metadata: this.metadata,
      ledgers: client,
      cacheBytesMax: 16 << 20,
      clock: this.clock,
      ...options
    })
    return { factory, client }
  }
}

export interface Outcome {
  readonly label: string
  readonly position: { readonly ledgerId: number; readonly entryId: number } | undefined
  readonly error: Error | undefined
}

/** Appends labelled entries and notes what became of each, in order. */
export class Appends {
  readonly outcomes: Outcome[] = []
  readonly #log: ManagedLedger<string>
  #waiting: { readonly count: number; readonly resolve: () => void }[] = []
  appended = 0

  constructor(log: ManagedLedger<string>) {
    this.#log = log
    log.setAppendListener({
      onAppended: (ledgerId, entryId, label) => {
        this.outcomes.push({ label, position: { ledgerId, entryId }, error: undefined })
      },
      onAppendFailed: (error, label) => {
        this.outcomes.push({ label, position: undefined, error })
      },
      onAppendsSettled: () => {
        const isDone = (waiter: { readonly count: number }): boolean => this.outcomes.length >= waiter.count
        for (const waiter of this.#waiting.filter(isDone)) waiter.resolve()
        this.#waiting = this.#waiting.filter(waiter => !isDone(waiter))
      }
    })
  }

  append(...labels: string[]): void {
    for (const label of labels) {
      this.appended += 1
      this.#log.append(Buffer.from(label), 1, label)
    }
  }

  /** Resolves when everything appended so far has settled. */
  async settled(): Promise<Outcome[]> {
    if (this.outcomes.length < this.appended) {
      await new Promise<void>(resolve => this.#waiting.push({ count: this.appended, resolve }))
    }
    return this.outcomes
  }

  async all(...labels: string[]): Promise<Outcome[]> {
    this.append(...labels)
    return this.settled()
  }
}

export function labelsOf(entries: readonly Entry[]): string[] {
  return entries.map(entry => entry.payload.toString())
}

/** The whole log, page by page. */
export async function readAll(log: ManagedLedger<string>, entriesMax = 7): Promise<string[]> {
  const labels: string[] = []
  for (let at = log.firstPosition; ;) {
    const entries = await log.read(at, { entriesMax, bytesMax: 1 << 20 })
    const last = entries.at(-1)
    if (last === undefined) return labels
    labels.push(...labelsOf(entries))
    at = log.nextPosition(last)
  }
}

export function numbered(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}${index}`)
}
