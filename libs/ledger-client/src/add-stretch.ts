import { strict as assert } from 'node:assert'
import type { EntryId, LedgerId } from '@strata/base'
import type { EntryAdd } from '@strata/ledger-protocol'

/**
 * Bytes between the payloads of a stretch, besides what brings each to a multiple of `ENTRY_ALIGNMENT`: as many as a node's
 * journal puts between them, so that it can take all of them with one copy.
 */
export const ENTRY_GAP_BYTES = 64
export const ENTRY_ALIGNMENT = 8

/** Numbers of one entry: id, LAC, length of the ledger, digest, where its payload begins, payload bytes. */
export const STRETCH_STRIDE = 6

/** From the beginning of one payload to that of the next one. */
export function entryPitch(payloadBytes: number): number {
  return ENTRY_GAP_BYTES + ((payloadBytes + ENTRY_ALIGNMENT - 1) & -ENTRY_ALIGNMENT)
}

/**
 * Adds that follow each other in one message: of one writer and one ledger, ids ascending, none of recovery. They are worked on
 * together, without an object for each.
 */
export class AddStretch {
  readonly ledgerId: LedgerId
  /** The payloads are in it. */
  readonly bytes: Buffer
  /** `STRETCH_STRIDE` for each. */
  readonly numbers: Float64Array
  readonly count: number

  constructor(ledgerId: LedgerId, entries: Pick<AddStretch, 'bytes' | 'numbers' | 'count'>) {
    assert(entries.count > 0 && entries.numbers.length >= entries.count * STRETCH_STRIDE)
    this.ledgerId = ledgerId
    this.bytes = entries.bytes
    this.numbers = entries.numbers
    this.count = entries.count
  }

  /** Of one writer and ledger, with ascending ids, put into memory as they come over the wire. */
  static of(requests: readonly EntryAdd[]): AddStretch {
    let bytes = 0
    for (const { payload } of requests) bytes += entryPitch(payload.length)
    const memory = Buffer.allocUnsafe(bytes) // what stands between the payloads means nothing
    const numbers = new Float64Array(requests.length * STRETCH_STRIDE)
    let at = 0
    let place = 0
    for (const { entryId, lac, lengthBytes, crc32c, payload } of requests) {
      numbers[place] = entryId
      numbers[place + 1] = lac
      numbers[place + 2] = lengthBytes
      numbers[place + 3] = crc32c
      numbers[place + 4] = at
      numbers[place + 5] = payload.length
      memory.set(payload, at)
      at += entryPitch(payload.length)
      place += STRETCH_STRIDE
    }
    const first = requests[0]
    assert(first !== undefined)
    return new AddStretch(first.ledgerId, { bytes: memory, numbers, count: requests.length })
  }

  entryIdAt(i: number): EntryId {
    return this.numbers[i * STRETCH_STRIDE] as EntryId
  }

  payloadBytesAt(i: number): number {
    return this.numbers[i * STRETCH_STRIDE + 5] ?? 0
  }

  /** One of them by itself; its payload is a slice. */
  requestAt(i: number): EntryAdd {
    const { ledgerId, numbers } = this
    const at = i * STRETCH_STRIDE
    const from = numbers[at + 4] ?? 0
    return {
      ledgerId,
      entryId: numbers[at] as EntryId,
      lac: numbers[at + 1] as EntryId,
      lengthBytes: numbers[at + 2] ?? 0,
      crc32c: numbers[at + 3] ?? 0,
      payload: this.bytes.subarray(from, from + (numbers[at + 5] ?? 0)),
      recovery: false
    }
  }
}
