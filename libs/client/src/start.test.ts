import { ManualClock } from '@strata/base/testing'
import { describe, expect, test } from 'vitest'
import { MessageId } from './index.ts'
import type { FakeBroker, FakeBrokerHooks } from './testing/fake-broker.ts'
import { bodyOf, broker, clientOf, TOPIC, untilAdvanced } from './testing/fixture.ts'

describe('where reading starts', () => {
  /** The entries 4 and 5 of one message each, whenever something seeks. */
  const seekable: FakeBrokerHooks = {
    onCommand: (command, connection) => {
      if (command.case === 'getLastMessageId') {
        const { requestId } = command.value
        const lastMessageId = { ledgerId: 1n, entryId: 4n, partition: -1, batchIndex: -1 }
        connection.reply('getLastMessageIdResponse', { requestId, lastMessageId })
        return true
      }
      if (command.case !== 'seek') return false
      connection.reply('success', { requestId: command.value.requestId })
      for (const entry of [4, 5]) connection.deliver(0, entry, bodyOf(`m${entry}`))
      return true
    }
  }
  const four = new MessageId({ ledgerId: 1, entryId: 4 })
  const ackedEntries = (server: FakeBroker): bigint[] =>
    server.received('ack').flatMap(ack => ack.messageId.map(id => id.entryId))

  test('a seek goes behind the id: what is before it is acknowledged and not delivered', async () => {
    const server = await broker(seekable)
    const consumer = await clientOf(server).subscribe({ topic: TOPIC, subscription: 's', ackGroupMs: 0 })
    await consumer.seek(four)
    expect((await consumer.receive()).text).toBe('m5')
    await server.until(() => ackedEntries(server).length === 1)
    expect(ackedEntries(server)).toEqual([4n])
  })

  test('an inclusive seek delivers the very message', async () => {
    const server = await broker(seekable)
    const options = { topic: TOPIC, subscription: 's', isStartInclusive: true }
    const consumer = await clientOf(server).subscribe(options)
    await consumer.seek(four)
    expect((await consumer.receive()).text).toBe('m4')
  })

  test('after the subscription was moved by somebody else, nothing is left out any more', async () => {
    const clock = new ManualClock()
    const server = await broker(seekable)
    const consumer = await clientOf(server, { clock }).subscribe({ topic: TOPIC, subscription: 's' })
    await consumer.seek(four)
    await consumer.receive()
    const [connection] = server.connections
    connection?.reply('closeConsumer', { consumerId: 0n, requestId: 0n })
    await untilAdvanced(clock, () => server.received('subscribe').length === 2)
    connection?.deliver(0, 4, bodyOf('again'))
    expect((await consumer.receive()).text).toBe('again')
  })

  test('an inclusive reader from the latest moves to the last message', async () => {
    const server = await broker(seekable)
    const options = { topic: TOPIC, startMessageId: MessageId.latest, isStartInclusive: true }
    const reader = await clientOf(server).createReader(options)
    expect((await reader.readNext()).text).toBe('m4')
    expect(server.received('seek')[0]?.messageId).toMatchObject({ ledgerId: 1n, entryId: 4n })
  })

  test('what needs a connection waits for the next one', async () => {
    const clock = new ManualClock()
    const server = await broker(seekable)
    const consumer = await clientOf(server, { clock }).subscribe({ topic: TOPIC, subscription: 's' })
    server.connections.forEach(connection => connection.destroy())
    while (consumer.isConnected) await new Promise(resolve => setImmediate(resolve))
    const asked = consumer.getLastMessageIds()
    await untilAdvanced(clock, () => server.received('getLastMessageId').length === 1)
    expect((await asked)[0]?.equals(four)).toBe(true)
  })

  test('a consumer that is sent away by its seek comes back when the seek was answered', async () => {
    const clock = new ManualClock()
    const seeks: { answer(): void }[] = []
    const server = await broker({
      onCommand: (command, connection) => {
        if (command.case !== 'seek') return false
        const { consumerId, requestId } = command.value
        connection.reply('closeConsumer', { consumerId, requestId: 0n })
        seeks.push({ answer: () => connection.reply('success', { requestId }) })
        return true
      }
    })
    const consumer = await clientOf(server, { clock }).subscribe({ topic: TOPIC, subscription: 's' })
    const sought = consumer.seek(four)
    await untilAdvanced(clock, () => server.received('lookupTopic').length === 2)
    await new Promise(resolve => setImmediate(resolve))
    expect(server.received('subscribe')).toHaveLength(1)
    seeks[0]?.answer()
    await sought
    await untilAdvanced(clock, () => server.received('subscribe').length === 2)
  })

  test('a seek to a message of several chunks goes to the first of them', async () => {
    const server = await broker(seekable)
    const consumer = await clientOf(server).subscribe({ topic: TOPIC, subscription: 's', isStartInclusive: true })
    const firstChunk = new MessageId({ ledgerId: 1, entryId: 2 })
    await consumer.seek(new MessageId({ ledgerId: 1, entryId: 4, firstChunk }))
    expect(server.received('seek')[0]?.messageId).toMatchObject({ entryId: 2n })
  })
})
