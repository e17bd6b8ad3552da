import { ledgerId, type Clock, type LedgerId } from '@strata/base'
import { updateRecord, type MetadataStore } from '@strata/metadata'

/** A log over many ledgers, as its owners keep it in metadata: who owns it (by epoch), and which ledgers it has. */
export interface LogRecord {
  readonly epoch: number
  readonly ledgers: readonly { readonly ledgerId: LedgerId; readonly isClosed: boolean }[]
}

const EMPTY: LogRecord = { epoch: 0, ledgers: [] }

/** The record of one log, changed by compare-and-set only. */
export class LogStore {
  readonly #key: string
  readonly #store: MetadataStore
  readonly #clock: Clock
  /** What was read last: mostly nothing happened since. */
  #last: { readonly value: Uint8Array; readonly record: LogRecord } | undefined

  constructor(name: string, store: MetadataStore, clock: Clock) {
    this.#key = `logs/${name}`
    this.#store = store
    this.#clock = clock
  }

  async read(): Promise<LogRecord> {
    const record = await this.#store.get(this.#key)
    return record === undefined ? EMPTY : this.#decode(record.value)
  }

  /** Raises the epoch: from now on no earlier owner changes the record. */
  async takeOver(): Promise<LogRecord> {
    const taken = await this.#update(record => ({ ...record, epoch: record.epoch + 1 }))
    return taken ?? EMPTY
  }

  /** undefined: somebody else owns the log by now. */
  change(epoch: number, next: (record: LogRecord) => LogRecord): Promise<LogRecord | undefined> {
    return this.#update(record => (record.epoch === epoch ? next(record) : undefined))
  }

  async #update(next: (record: LogRecord) => LogRecord | undefined): Promise<LogRecord | undefined> {
    let made: LogRecord | undefined
    await updateRecord(
      this.#store,
      this.#key,
      current => {
        made = next(current === undefined ? EMPTY : this.#decode(current.value))
        return made === undefined ? undefined : { put: encode(made) }
      },
      { clock: this.#clock, patienceMs: 60_000 }
    )
    return made
  }

  /** The store gives the same bytes again as long as the record does not change, and nobody changes them. */
  #decode(value: Uint8Array): LogRecord {
    if (this.#last?.value !== value) this.#last = { value, record: decode(value) }
    return this.#last.record
  }
}

export function withLedger(record: LogRecord, id: LedgerId): LogRecord {
  return { ...record, ledgers: [...record.ledgers, { ledgerId: id, isClosed: false }] }
}

export function withClosed(record: LogRecord, id: LedgerId): LogRecord {
  return { ...record, ledgers: record.ledgers.map(row => (row.ledgerId === id ? { ...row, isClosed: true } : row)) }
}

export function without(record: LogRecord, id: LedgerId): LogRecord {
  return { ...record, ledgers: record.ledgers.filter(row => row.ledgerId !== id) }
}

/** Numbers of 8 bytes: the epoch, and for each ledger its id, and whether it is closed. They are written for each ledger, and text is dear. */
function encode({ epoch, ledgers }: LogRecord): Uint8Array {
  const numbers = new Float64Array(1 + 2 * ledgers.length)
  numbers[0] = epoch
  ledgers.forEach(({ ledgerId, isClosed }, i) => {
    numbers[1 + 2 * i] = ledgerId
    numbers[2 + 2 * i] = Number(isClosed)
  })
  return new Uint8Array(numbers.buffer)
}

function decode(value: Uint8Array): LogRecord {
  const [epoch = 0, ...rest] = new Float64Array(new Uint8Array(value).buffer)
  const ledgers = Array.from({ length: rest.length / 2 }, (_, i) => ({
    ledgerId: ledgerId(rest[2 * i] ?? -1),
    isClosed: rest[2 * i + 1] === 1
  }))
  return { epoch, ledgers }
}
