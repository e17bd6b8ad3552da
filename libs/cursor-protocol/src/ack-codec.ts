import { strict as assert } from 'node:assert'
import { ByteReader, ByteWriter } from './bytes.ts'
import { cursorErrors } from './errors.ts'
import { PAGE_BITS, PAGE_WORDS, pageRuns, setBits, type AckPage } from './ledger-acks.ts'
import type { Position } from './position.ts'

/*
  One chunk of a cursor's acknowledgement state, version 1. Integers are LEB128; positions are stored + 1.

    u8      version               1
    u8      flags                 bit 0: forget everything before this chunk
    varint  mark-delete ledger + 1
    varint  mark-delete entry + 1
    items until the end:
      u8 1  page as runs          varint ledger, varint page, varint n, n × (varint gap, varint length - 1)
      u8 2  page as bits          varint ledger, varint page, 32 × int32 little-endian
      u8 3  bits of a batch       varint ledger, varint entry, varint words, words × int32 little-endian
*/
const VERSION = 1
const FLAG_RESET = 1
const ITEM_RUNS = 1
const ITEM_PAGE = 2
const ITEM_BITS = 3
/** Past this many runs the bit map is the shorter form. */
const RUNS_MAX = 40
const BATCH_WORDS_MAX = 1 << 20

export interface AckChunk {
  readonly reset: boolean
  readonly markDelete: Position
  readonly pages: readonly { readonly ledgerId: number; readonly index: number; readonly words: Int32Array }[]
  readonly bits: readonly { readonly ledgerId: number; readonly entryId: number; readonly words: Int32Array }[]
}

/** Writes chunks of at least one item each, closing one when it has reached `bytesMax`. Only the first one resets. */
export class AckChunkWriter {
  readonly #markDelete: Position
  readonly #bytesMax: number
  readonly #finished: Buffer[] = []
  #writer: ByteWriter

  constructor(options: { markDelete: Position; reset: boolean; bytesMax: number }) {
    this.#markDelete = options.markDelete
    this.#bytesMax = options.bytesMax
    this.#writer = this.#begin(options.reset)
  }

  page(ledgerId: number, page: AckPage): void {
    this.#makeRoom()
    const runs = pageRuns(page.words)
    this.#writer.byte(runs.length > RUNS_MAX ? ITEM_PAGE : ITEM_RUNS)
    this.#writer.varint(ledgerId)
    this.#writer.varint(page.index)
    if (runs.length > RUNS_MAX) {
      for (const word of page.words) this.#writer.int32(word)
      return
    }
    this.#writer.varint(runs.length)
    let end = 0
    for (const { first, last } of runs) {
      this.#writer.varint(first - end)
      this.#writer.varint(last - first)
      end = last + 1
    }
  }

  bits(position: Position, words: Int32Array): void {
    assert(words.length <= BATCH_WORDS_MAX, 'a batch of absurd size')
    this.#makeRoom()
    this.#writer.byte(ITEM_BITS)
    this.#writer.varint(position.ledgerId)
    this.#writer.varint(position.entryId)
    this.#writer.varint(words.length)
    for (const word of words) this.#writer.int32(word)
  }

  finish(): Buffer[] {
    this.#finished.push(this.#writer.finish())
    return this.#finished
  }

  #begin(reset: boolean): ByteWriter {
    const writer = new ByteWriter(64)
    writer.byte(VERSION)
    writer.byte(reset ? FLAG_RESET : 0)
    writer.varint(this.#markDelete.ledgerId + 1)
    writer.varint(this.#markDelete.entryId + 1)
    return writer
  }

  #makeRoom(): void {
    if (this.#writer.length < this.#bytesMax) return
    this.#finished.push(this.#writer.finish())
    this.#writer = this.#begin(false)
  }
}

/** @throws CursorError MALFORMED_CURSOR_STATE, UNKNOWN_CURSOR_STATE_VERSION */
export function decodeAckChunk(bytes: Buffer): AckChunk {
  const reader = new ByteReader(bytes)
  const version = reader.byte()
  if (version !== VERSION) throw cursorErrors.create('UNKNOWN_CURSOR_STATE_VERSION', { version })
  const flags = reader.byte()
  if ((flags & ~FLAG_RESET) !== 0) reader.refuse('unknown flags')
  const markDelete = { ledgerId: reader.varint() - 1, entryId: reader.varint() - 1 }
  const pages: { ledgerId: number; index: number; words: Int32Array }[] = []
  const bits: { ledgerId: number; entryId: number; words: Int32Array }[] = []
  while (!reader.isAtEnd) {
    const item = reader.byte()
    const ledgerId = reader.varint()
    const at = reader.varint()
    if (item === ITEM_RUNS) pages.push({ ledgerId, index: at, words: decodeRuns(reader) })
    else if (item === ITEM_PAGE) pages.push({ ledgerId, index: at, words: decodeWords(reader, PAGE_WORDS) })
    else if (item === ITEM_BITS) bits.push({ ledgerId, entryId: at, words: decodeBatch(reader) })
    else reader.refuse('unknown item')
  }
  return { reset: (flags & FLAG_RESET) !== 0, markDelete, pages, bits }
}

function decodeRuns(reader: ByteReader): Int32Array {
  const words = new Int32Array(PAGE_WORDS)
  const count = reader.varint()
  if (count > RUNS_MAX) reader.refuse('too many runs')
  let end = 0
  for (let run = 0; run < count; run++) {
    const first = end + reader.varint()
    const last = first + reader.varint()
    if (last >= PAGE_BITS) reader.refuse('run past its page')
    setBits(words, first, last)
    end = last + 1
  }
  return words
}

function decodeBatch(reader: ByteReader): Int32Array {
  const count = reader.varint()
  if (count > BATCH_WORDS_MAX) reader.refuse('a batch of absurd size')
  return decodeWords(reader, count)
}

function decodeWords(reader: ByteReader, count: number): Int32Array {
  const words = new Int32Array(count)
  for (let index = 0; index < count; index++) words[index] = reader.int32()
  return words
}
