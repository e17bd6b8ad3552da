/** Bytes of a protobuf message, read field by field without a schema. Numbers end at what is safe, text is ASCII. */
export class RowReader {
  readonly #bytes: Uint8Array
  readonly #end: number
  #at: number
  /** Something stood there that is not read here; what was read since means nothing. */
  isStrange = false

  constructor(bytes: Uint8Array, from: number, to: number) {
    this.#bytes = bytes
    this.#at = from
    this.#end = to
  }

  get isAtEnd(): boolean {
    return this.isStrange || this.#at >= this.#end
  }

  /** A varint: a number, or a field's tag. */
  number(): number {
    let value = 0
    for (let scale = 1; scale < 2 ** 50 && this.#at < this.#end; scale *= 128) {
      const byte = this.#bytes[this.#at++] ?? 0
      value += (byte & 127) * scale
      if (byte < 128) return Number.isSafeInteger(value) ? value : this.strange()
    }
    return this.strange()
  }

  /** One of 31 bits. */
  small(): number {
    const value = this.number()
    return value <= 0x7fffffff ? value : this.strange()
  }

  text(): string {
    const end = this.#endOfField()
    let text = ''
    for (; this.#at < end; this.#at++) {
      const byte = this.#bytes[this.#at] ?? 0
      if (byte > 127) this.strange()
      text += String.fromCharCode(byte)
    }
    return text
  }

  message(): RowReader {
    const end = this.#endOfField()
    const inner = new RowReader(this.#bytes, this.#at, end)
    this.#at = end
    return inner
  }

  strange(): 0 {
    this.isStrange = true
    return 0
  }

  #endOfField(): number {
    const end = this.number() + this.#at
    if (!this.isStrange && end <= this.#end) return end
    this.strange()
    return this.#at
  }
}
