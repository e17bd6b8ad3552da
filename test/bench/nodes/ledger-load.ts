import { strict as assert } from 'node:assert'
import { setTimeout as delay } from 'node:timers/promises'
import { entryId, type LedgerId } from '@strata/base'
import type { FollowingLedgerClient, LedgerAppender, LedgerClient } from '@strata/ledger-client'

const READ_BYTES = 4 * 1024 * 1024

export interface LoadOptions {
  readonly bytes: number
  /** Payload bytes that may be appended and not confirmed. */
  readonly windowBytes: number
}

/** One writer of one ledger, as fast as its window lets it, or so many entries a second. */
export class LedgerLoad {
  readonly #payload: Buffer
  readonly #windowBytes: number
  #writer: LedgerAppender | undefined
  #entriesMax = 0
  #isDue = false
  #failure: Error | undefined
  #onProgress: (() => void) | undefined
  #onNote: (() => void) | undefined

  private constructor({ bytes, windowBytes }: LoadOptions) {
    this.#payload = Buffer.alloc(bytes, 'entry')
    this.#windowBytes = windowBytes
  }

  static async begin(ledgers: LedgerClient, options: LoadOptions): Promise<LedgerLoad> {
    const load = new LedgerLoad(options)
    load.#writer = await ledgers.create({
      owner: 'bench',
      listener: {
        onConfirmed: () => load.#onConfirmed(),
        onFailed: error => {
          load.#failure = error
          load.#onProgress?.()
        }
      }
    })
    return load
  }

  get ledgerId(): LedgerId {
    return this.#open.ledgerId
  }

  /** Entries that are confirmed. */
  get confirmed(): number {
    return this.#open.lastAddConfirmed + 1
  }

  /** Goes on from here until so many entries are appended in all, or `pause`. */
  start(entriesMax = Infinity): void {
    this.#entriesMax = entriesMax
    this.#pumpSoon()
  }

  pause(): void {
    this.#entriesMax = 0
  }

  /** @throws Error what ended the writer */
  async until(isTrue: () => boolean): Promise<void> {
    while (!isTrue()) {
      if (this.#failure !== undefined) throw this.#failure
      await new Promise<void>(resolve => (this.#onProgress = resolve))
    }
  }

  /** Entries confirmed a second. */
  async rate(seconds: number): Promise<number> {
    const from = { entries: this.confirmed, atMs: performance.now() }
    await delay(seconds * 1000)
    if (this.#failure !== undefined) throw this.#failure
    return ((this.confirmed - from.entries) * 1000) / (performance.now() - from.atMs)
  }

  /** `rate` entries a second whatever becomes of them; milliseconds from each append until it was confirmed. */
  async openLoop(rate: number, seconds: number): Promise<number[]> {
    const writer = this.#open
    const first: number = writer.nextEntryId
    const appendedMs: number[] = []
    const takenMs: number[] = []
    const count = rate * seconds
    const note = (): void => {
      const nowMs = performance.now()
      for (let next = takenMs.length; next <= writer.lastAddConfirmed - first; next++) {
        takenMs.push(nowMs - (appendedMs[next] ?? NaN))
      }
    }
    this.#onNote = note
    const startMs = performance.now()
    while (appendedMs.length < count) {
      const due = Math.min(count, Math.floor(((performance.now() - startMs) * rate) / 1000) + 1)
      while (appendedMs.length < due) {
        appendedMs.push(performance.now())
        writer.append(this.#payload)
      }
      await delay(1)
    }
    await this.until(() => takenMs.length >= count)
    this.#onNote = undefined
    return takenMs
  }

  /** Waits for what is pending. Resolves with the number of entries. */
  async close(): Promise<number> {
    this.pause()
    return (await this.#open.close()).lastEntryId + 1
  }

  get #open(): LedgerAppender {
    return this.#writer ?? assert.fail('the ledger is not begun')
  }

  #onConfirmed(): void {
    this.#onNote?.()
    this.#onProgress?.()
    this.#pumpSoon()
  }

  #pumpSoon(): void {
    if (this.#isDue) return
    this.#isDue = true
    setImmediate(() => this.#pump())
  }

  #pump(): void {
    this.#isDue = false
    const writer = this.#open
    if (this.#failure !== undefined) return
    while (writer.pendingBytes < this.#windowBytes && writer.nextEntryId < this.#entriesMax) {
      writer.append(this.#payload)
    }
  }
}

/** @throws Error if one of the first `count` entries is not there with its bytes */
export async function readBack(
  ledgers: FollowingLedgerClient,
  { ledgerId, count, bytes }: { ledgerId: LedgerId; count: number; bytes: number }
): Promise<void> {
  const wanted = Buffer.alloc(bytes, 'entry')
  const reader = await ledgers.open(ledgerId)
  for (let next = 0; next < count;) {
    const range = { first: entryId(next), last: entryId(count - 1) }
    const entries = await reader.read({ ...range, bytesMax: READ_BYTES, entriesMax: 100_000 })
    for (const { payload } of entries) {
      if (!payload.equals(wanted)) throw new Error(`entry ${next} of ledger ${ledgerId} is not what was written`)
      next += 1
    }
  }
}
