import { bookieErrors } from '../errors.ts'
import { headerCrc } from './crc32c.ts'

/*
  First 4096 bytes of a journal file or entry log. Little-endian.

    offset  size  field
         0     6  'STRATA'
         6     1  'J' journal, 'E' entry log
         7     1  format version, 1
         8     4  number of the file (a journal's generation)
        12     4  reserved, 0
        16    16  volume id
        32    28  reserved, 0
        60     4  CRC32C of bytes 0..59
        64        zeros

  Records start behind it. Names: journal/<number>.journal, entry-logs/<number>.entries, number with 10 digits.
*/
export const FILE_HEADER_BYTES = 4096
const FILE_VERSION = 1
const MAGIC = Buffer.from('STRATA')

export type FileKind = 'journal' | 'entry-log'
const KIND_BYTE = { journal: 0x4a, 'entry-log': 0x45 } as const satisfies Record<FileKind, number>

export interface FileHeader {
  readonly kind: FileKind
  readonly number: number
  /** 32 hexadecimal digits. */
  readonly volumeId: string
}

export function encodeFileHeader(header: FileHeader): Buffer {
  const bytes = Buffer.alloc(FILE_HEADER_BYTES)
  MAGIC.copy(bytes, 0)
  bytes[6] = KIND_BYTE[header.kind]
  bytes[7] = FILE_VERSION
  bytes.writeUInt32LE(header.number, 8)
  Buffer.from(header.volumeId, 'hex').copy(bytes, 16, 0, 16)
  bytes.writeUInt32LE(headerCrc(bytes, 0, 60), 60)
  return bytes
}

/** undefined: not a valid header. @throws UNKNOWN_FORMAT for a valid one of another version. */
export function decodeFileHeader(bytes: Buffer, file: string): FileHeader | undefined {
  if (bytes.length < 64 || !bytes.subarray(0, 6).equals(MAGIC)) return undefined
  if (bytes.readUInt32LE(60) !== headerCrc(bytes, 0, 60)) return undefined
  const version = bytes[7]
  if (version !== FILE_VERSION) throw bookieErrors.create('UNKNOWN_FORMAT', { file, version })
  const kind =
    bytes[6] === KIND_BYTE.journal ? 'journal' : bytes[6] === KIND_BYTE['entry-log'] ? 'entry-log' : undefined
  if (kind === undefined) return undefined
  return { kind, number: bytes.readUInt32LE(8), volumeId: bytes.toString('hex', 16, 32) }
}

const NAMES = { journal: '.journal', 'entry-log': '.entries' } as const satisfies Record<FileKind, string>

export function fileName(kind: FileKind, number: number): string {
  return `${String(number).padStart(10, '0')}${NAMES[kind]}`
}

/** undefined for a name that is not of this kind. */
export function numberOfName(kind: FileKind, name: string): number | undefined {
  if (!name.endsWith(NAMES[kind])) return undefined
  const digits = name.slice(0, -NAMES[kind].length)
  return /^\d{10}$/.test(digits) ? Number(digits) : undefined
}
