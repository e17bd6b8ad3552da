import { ByteReader, ByteWriter, cursorErrors } from '@strata/cursor-protocol'

/** See proto/storage/managed-ledger.proto for the bytes. */
export type CursorRecord =
  | {
      readonly kind: 'define'
      readonly number: number
      readonly name: string
      readonly properties: Readonly<Record<string, string>>
    }
  | { readonly kind: 'state'; readonly number: number; readonly chunk: Buffer }
  | { readonly kind: 'remove'; readonly number: number }

const VERSION = 1
const DEFINE = 1
const STATE = 2
const REMOVE = 3

/** Packs records into entries of about `bytesMax`, in order. */
export class CursorEntryWriter {
  readonly #bytesMax: number
  readonly #finished: Buffer[] = []
  #writer: ByteWriter | undefined

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  define(number: number, name: string, properties: Readonly<Record<string, string>>): void {
    const writer = this.#begin(DEFINE, number)
    writer.text(name)
    const pairs = Object.entries(properties)
    writer.varint(pairs.length)
    for (const [key, value] of pairs) {
      writer.text(key)
      writer.text(value)
    }
  }

  state(number: number, chunk: Buffer): void {
    this.#begin(STATE, number).bytes(chunk)
  }

  remove(number: number): void {
    this.#begin(REMOVE, number)
  }

  finish(): Buffer[] {
    if (this.#writer !== undefined) this.#finished.push(this.#writer.finish())
    this.#writer = undefined
    return this.#finished
  }

  #begin(kind: number, number: number): ByteWriter {
    if (this.#writer !== undefined && this.#writer.length >= this.#bytesMax) this.finish()
    if (this.#writer === undefined) {
      this.#writer = new ByteWriter()
      this.#writer.byte(VERSION)
    }
    this.#writer.byte(kind)
    this.#writer.varint(number)
    return this.#writer
  }
}

/** @throws CursorError MALFORMED_CURSOR_STATE, UNKNOWN_CURSOR_STATE_VERSION */
export function decodeCursorEntry(bytes: Buffer): CursorRecord[] {
  const reader = new ByteReader(bytes)
  const version = reader.byte()
  if (version !== VERSION) throw cursorErrors.create('UNKNOWN_CURSOR_STATE_VERSION', { version })
  const records: CursorRecord[] = []
  while (!reader.isAtEnd) {
    const kind = reader.byte()
    const number = reader.varint()
    if (kind === DEFINE) {
      const name = reader.text()
      records.push({ kind: 'define', number, name, properties: decodeProperties(reader) })
    } else if (kind === STATE) records.push({ kind: 'state', number, chunk: reader.bytes() })
    else if (kind === REMOVE) records.push({ kind: 'remove', number })
    else reader.refuse('unknown record')
  }
  return records
}

function decodeProperties(reader: ByteReader): Record<string, string> {
  const pairs: [string, string][] = []
  for (let left = reader.varint(); left > 0; left--) pairs.push([reader.text(), reader.text()])
  return Object.fromEntries(pairs) // defines own properties, whatever the key
}
