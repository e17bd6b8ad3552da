import { deflateSync, inflateSync } from 'node:zlib'
import { compress as zstdCompress, decompress as zstdDecompress, init as initZstd } from '@bokuweb/zstd-wasm'
import { CompressionType } from '@strata/wire'
import { compressSync as lz4Compress, uncompressSync as lz4Uncompress } from 'lz4-napi'
import { compressSync as snappyCompress, uncompressSync as snappyUncompress } from 'snappy'
import { clientErrors } from './errors.ts'

export type Compression = 'none' | 'lz4' | 'zlib' | 'zstd' | 'snappy'

const types: Readonly<Record<Compression, number>> = {
  none: CompressionType.NONE,
  lz4: CompressionType.LZ4,
  zlib: CompressionType.ZLIB,
  zstd: CompressionType.ZSTD,
  snappy: CompressionType.SNAPPY
}

export function compressionTypeOf(compression: Compression): number {
  return types[compression]
}

/** Zstandard is a WebAssembly module that must be loaded before it is used; the others need nothing. */
export async function prepareCompression(): Promise<void> {
  zstd.loading ??= initZstd()
  try {
    await zstd.loading
  } catch (error) {
    delete zstd.loading
    throw error
  }
}

/**
 * State of the process, as the library's own is: loading it a second time puts another memory under the first one's
 * functions, and what is compressed meanwhile is garbage.
 */
const zstd: { loading?: Promise<void> } = {}

export function compress(type: number, payload: Buffer): Buffer {
  switch (type) {
    case CompressionType.NONE:
      return payload
    case CompressionType.LZ4:
      // The library puts the size in front; the protocol keeps it in the metadata.
      return lz4Compress(payload).subarray(LZ4_SIZE_BYTES)
    case CompressionType.ZLIB:
      return deflateSync(payload)
    case CompressionType.ZSTD:
      return Buffer.from(zstdCompress(payload))
    case CompressionType.SNAPPY:
      return snappyCompress(payload)
    default:
      throw clientErrors.create('INVALID_OPTIONS', { reason: 'unknown compression', type })
  }
}

const LZ4_SIZE_BYTES = 4

/** @throws PAYLOAD_CORRUPT, also if the size is not what the metadata says */
export function decompress(type: number, payload: Buffer, uncompressedBytes: number): Buffer {
  if (type === CompressionType.NONE) return payload
  let plain: Buffer
  try {
    plain = decompressUnchecked(type, payload, uncompressedBytes)
  } catch (error) {
    throw clientErrors.create('PAYLOAD_CORRUPT', { compression: type, uncompressedBytes }, error)
  }
  if (plain.length !== uncompressedBytes) {
    throw clientErrors.create('PAYLOAD_CORRUPT', { compression: type, uncompressedBytes, actualBytes: plain.length })
  }
  return plain
}

function decompressUnchecked(type: number, payload: Buffer, uncompressedBytes: number): Buffer {
  switch (type) {
    case CompressionType.LZ4: {
      const sized = Buffer.allocUnsafe(LZ4_SIZE_BYTES + payload.length)
      sized.writeUInt32LE(uncompressedBytes, 0)
      payload.copy(sized, LZ4_SIZE_BYTES)
      return lz4Uncompress(sized)
    }
    case CompressionType.ZLIB:
      return inflateSync(payload, { maxOutputLength: Math.max(1, uncompressedBytes) })
    case CompressionType.ZSTD:
      return Buffer.from(zstdDecompress(payload, { defaultHeapSize: Math.max(1, uncompressedBytes) }))
    case CompressionType.SNAPPY:
      return snappyUncompress(payload, { asBuffer: true }) as Buffer
    default:
      throw new Error('unknown compression')
  }
}
