import { create, toBinary } from '@bufbuild/protobuf'
import { crc32c } from '@node-rs/crc32'
import { encodeBaseCommand, MessageMetadataSchema, SingleMessageMetadataSchema } from '@strata/wire'

const CHECKSUM_MAGIC = 0x0e01

/** One SEND frame: a message, or a batch of them, of `bytes` payload each. */
export function sendFrame(options: {
  producerId: number
  producerName: string
  sequenceId: number
  batch: number
  bytes: number
  key?: string
}): Buffer {
  const { batch } = options
  const command = encodeBaseCommand('send', {
    producerId: BigInt(options.producerId),
    sequenceId: BigInt(options.sequenceId),
    numMessages: batch,
    ...(batch > 1 ? { highestSequenceId: BigInt(options.sequenceId + batch - 1) } : {})
  })
  const metadata = toBinary(
    MessageMetadataSchema,
    create(MessageMetadataSchema, {
      producerName: options.producerName,
      sequenceId: BigInt(options.sequenceId),
      publishTime: BigInt(Date.now()),
      ...(options.key === undefined ? {} : { partitionKey: options.key }),
      ...(batch > 1 ? { numMessagesInBatch: batch } : {})
    })
  )
  const payload = batch > 1 ? batchPayload(batch, options.bytes) : Buffer.alloc(options.bytes, 0x61)
  const body = Buffer.alloc(4 + metadata.length + payload.length)
  body.writeUInt32BE(metadata.length, 0)
  body.set(metadata, 4)
  body.set(payload, 4 + metadata.length)
  const head = Buffer.alloc(8 + command.length + 6)
  head.writeUInt32BE(4 + command.length + 6 + body.length, 0)
  head.writeUInt32BE(command.length, 4)
  head.set(command, 8)
  head.writeUInt16BE(CHECKSUM_MAGIC, 8 + command.length)
  head.writeUInt32BE(crc32c(body), 10 + command.length)
  return Buffer.concat([head, body])
}

function batchPayload(batch: number, bytes: number): Buffer {
  const single = toBinary(SingleMessageMetadataSchema, create(SingleMessageMetadataSchema, { payloadSize: bytes }))
  const one = Buffer.alloc(4 + single.length + bytes, 0x61)
  one.writeUInt32BE(single.length, 0)
  one.set(single, 4)
  return Buffer.concat(Array.from({ length: batch }, () => one))
}
