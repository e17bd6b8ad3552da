import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type MessageInitShape,
  type MessageShape
} from '@bufbuild/protobuf'

/** Why a row cannot be read. */
export interface RowProblem {
  readonly reason: 'unknown format version' | 'not a message'
  readonly type: string
  /** Undefined for an empty row. */
  readonly version: number | undefined
  readonly cause?: unknown
}

export interface RowCodec {
  encode<Desc extends DescMessage>(schema: Desc, init: MessageInitShape<Desc>): Buffer
  /** @throws what `unreadable` makes of the problem. @param subject Is handed to it: the row's key, say. */
  decode<Desc extends DescMessage>(schema: Desc, bytes: Uint8Array, subject?: string): MessageShape<Desc>
}

/** How rows are stored: one byte of format version, then the message. */
export function rowCodec(options: {
  version: number
  unreadable: (problem: RowProblem, subject: string) => Error
}): RowCodec {
  const { version, unreadable } = options
  return {
    encode: (schema, init) => Buffer.concat([Buffer.of(version), toBinary(schema, create(schema, init))]),
    decode(schema, bytes, subject = '') {
      const found = { type: schema.typeName, version: bytes[0] }
      if (bytes[0] !== version) throw unreadable({ reason: 'unknown format version', ...found }, subject)
      try {
        return fromBinary(schema, bytes.subarray(1))
      } catch (cause) {
        throw unreadable({ reason: 'not a message', ...found, cause }, subject)
      }
    }
  }
}
