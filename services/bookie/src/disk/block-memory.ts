/** What a direct write is a multiple of: position, length and address. Enough for every common device (logical blocks of 512 or 4096). */
export const BLOCK_BYTES = 4096

const PAGE_BYTES = 65_536

/** Part of the language's WebAssembly interface; the `lib` that declares it is the browser's. */
declare const WebAssembly: {
  readonly Memory: new (options: { initial: number; maximum: number; shared: boolean }) => {
    readonly buffer: SharedArrayBuffer | ArrayBuffer
  }
}

/**
 * Memory that a direct write can come from, zeroed, and that threads can share. Of all that Node gives, only the memory of
 * WebAssembly is sure to begin at a page of the machine.
 */
export function blockMemory(bytes: number): Buffer {
  return memoryOf(bytes, true)
}

/** The same for one thread alone, which V8 copies from as from any other. Each takes gigabytes of addresses, so there are to be few. */
export function ownBlockMemory(bytes: number): Buffer {
  return memoryOf(bytes, false)
}

function memoryOf(bytes: number, shared: boolean): Buffer {
  const pages = Math.ceil(bytes / PAGE_BYTES)
  const { buffer } = new WebAssembly.Memory({ initial: pages, maximum: pages, shared })
  return Buffer.from(buffer, 0, bytes)
}

export function toBlocks(bytes: number): number {
  return Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES
}
