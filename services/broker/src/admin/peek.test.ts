import { create, toBinary } from '@bufbuild/protobuf'
import { PulsarClient, type Compression } from '@strata/client'
import { CompressionType, MessageMetadataSchema } from '@strata/wire'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { AdminWorld } from './testing/admin-world.ts'

let admin: AdminWorld
let client: PulsarClient

beforeAll(async () => {
  admin = await AdminWorld.start()
  client = new PulsarClient({ serviceUrl: `pulsar://127.0.0.1:${admin.world.broker.ports.broker}` })
})

afterAll(async () => {
  await client.close()
  await admin.close()
})

test.each<Compression>(['none', 'lz4', 'zlib', 'zstd', 'snappy'])(
  'a %s payload comes out unpacked',
  async compression => {
    const text = 'the same again and '.repeat(200)
    const topic = `packed-${compression}`
    const producer = await client.createProducer({
      topic: `persistent://public/default/${topic}`,
      compression,
      batching: { enabled: false }
    })
    const path = admin.topic(topic)
    await admin.call('PUT', `${path}/subscription/s`, { ledgerId: -1, entryId: -1 })
    const id = await producer.send({ data: Buffer.from(text) })
    await producer.close()
    for (const way of [`subscription/s/position/1`, 'examinemessage', `ledger/${id.ledgerId}/entry/${id.entryId}`]) {
      const answer = await admin.call('GET', `${path}/${way}`)
      expect(answer, way).toMatchObject({
        status: 200,
        body: text,
        // a producer need not say it of what it does not compress
        headers: compression === 'none' ? {} : { 'x-pulsar-uncompressed-size': String(text.length) }
      })
    }
  }
)

test.each([
  ['LZ4', CompressionType.LZ4],
  ['ZLIB', CompressionType.ZLIB],
  ['ZSTD', CompressionType.ZSTD],
  ['SNAPPY', CompressionType.SNAPPY]
])('a %s payload that is damaged, or claims gigabytes, is refused', async (name, compression) => {
  const topic = `damaged-${name}`
  const raw = await admin.world.connect()
  await raw.producer(`persistent://public/default/${topic}`)
  for (const [index, uncompressedSize] of [100, 2 ** 32 - 1].entries()) {
    raw.publish({ sequenceId: BigInt(index), headers: packedEntry({ compression, uncompressedSize }) })
    await raw.next('sendReceipt')
  }
  raw.destroy()
  for (const nth of [1, 2]) {
    const way = `examinemessage?initialPosition=earliest&messagePosition=${nth}`
    expect(await admin.told('GET', `${admin.topic(topic)}/${way}`)).toBe('500 The stored message cannot be unpacked')
  }
})

/** Headers and payload without a checksum, which is optional; the payload is in no format. */
function packedEntry(fields: { compression: CompressionType; uncompressedSize: number }): Buffer {
  const metadata = toBinary(
    MessageMetadataSchema,
    create(MessageMetadataSchema, { producerName: 'p', sequenceId: 0n, publishTime: 1n, ...fields })
  )
  const size = Buffer.alloc(4)
  size.writeUInt32BE(metadata.length)
  return Buffer.concat([size, metadata, Buffer.from('garbage')])
}
