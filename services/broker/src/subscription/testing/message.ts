export interface MessageFields {
  readonly producer?: string
  readonly sequence?: number | bigint
  readonly publishTimeMs?: number
  readonly key?: string
  readonly keyIsBase64?: boolean
  readonly orderingKey?: string
  readonly messages?: number
  readonly chunk?: { readonly uuid: string; readonly id: number; readonly of: number }
  readonly withChecksum?: boolean
  readonly brokerMetadataBytes?: number
  readonly bodyBytes?: number
}

/** A stored message of those fields, written independently of the code that reads them. */
export function encodeMessage(fields: MessageFields = {}): Buffer {
  const metadata = Buffer.concat([
    bytesField(1, Buffer.from(fields.producer ?? 'p')),
    varintField(2, BigInt.asUintN(64, BigInt(fields.sequence ?? 0))),
    varintField(3, BigInt(fields.publishTimeMs ?? 0)),
    fields.key === undefined ? NOTHING : bytesField(6, Buffer.from(fields.key)),
    fields.messages === undefined ? NOTHING : varintField(11, BigInt(fields.messages)),
    fields.keyIsBase64 === true ? varintField(17, 1n) : NOTHING,
    fields.orderingKey === undefined ? NOTHING : bytesField(18, Buffer.from(fields.orderingKey)),
    ...(fields.chunk === undefined
      ? []
      : [
          bytesField(26, Buffer.from(fields.chunk.uuid)),
          varintField(27, BigInt(fields.chunk.of)),
          varintField(29, BigInt(fields.chunk.id))
        ])
  ])
  const size = Buffer.alloc(4)
  size.writeUInt32BE(metadata.length)
  const checksum = fields.withChecksum === false ? NOTHING : Buffer.from([0x0e, 0x01, 1, 2, 3, 4])
  return Buffer.concat([brokerMetadata(fields), checksum, size, metadata, Buffer.alloc(fields.bodyBytes ?? 10)])
}

const NOTHING = Buffer.alloc(0)

function brokerMetadata({ brokerMetadataBytes }: MessageFields): Buffer {
  if (brokerMetadataBytes === undefined) return NOTHING
  const block = Buffer.alloc(6 + brokerMetadataBytes)
  block.writeUInt16BE(0x0e02)
  block.writeUInt32BE(brokerMetadataBytes, 2)
  return block
}

function varint(value: bigint): Buffer {
  const bytes: number[] = []
  let rest = value
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128)
  bytes.push(Number(rest))
  return Buffer.from(bytes)
}

function varintField(field: number, value: bigint): Buffer {
  return Buffer.concat([varint(BigInt(field << 3)), varint(value)])
}

function bytesField(field: number, bytes: Buffer): Buffer {
  return Buffer.concat([varint(BigInt((field << 3) | 2)), varint(BigInt(bytes.length)), bytes])
}
