/** Bytes of a file, as read: `bytes[0]` stands at `start` of file `file`. */
export interface Region {
  readonly file: number
  readonly start: number
  readonly bytes: Buffer
  /** Less than half of it was asked for. */
  readonly isSparse: boolean
}

/** Regions read ahead, the least recently used dropped first. Bounded by bytes. */
export class ReadAheadCache {
  readonly #bytesMax: number
  #regions: Region[] = []
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** A region that holds the whole range. */
  find(file: number, start: number, end: number): Region | undefined {
    for (let i = this.#regions.length - 1; i >= 0; i--) {
      const region = this.#regions[i]
      if (region?.file !== file || start < region.start || end > region.start + region.bytes.length) continue
      this.#regions.splice(i, 1)
      this.#regions.push(region)
      return region
    }
    return undefined
  }

  add(region: Region): void {
    if (region.bytes.length > this.#bytesMax / 4) return
    this.#regions.push(region)
    this.#bytes += region.bytes.length
    while (this.#bytes > this.#bytesMax) this.#bytes -= this.#regions.shift()?.bytes.length ?? 0
  }

  dropFile(file: number): void {
    this.#regions = this.#regions.filter(region => region.file !== file)
    this.#bytes = this.#regions.reduce((sum, region) => sum + region.bytes.length, 0)
  }
}
