import { BytePool } from '@strata/base'
import { ManualClock } from '@strata/base/testing'
import { MetadataView, readMessageMetadata } from '@strata/wire'
import { describe, expect, test } from 'vitest'
import { clientErrors, MessageId, tokenAuthentication } from './index.ts'
import type { FakeConnection, ReceivedSend } from './testing/fake-broker.ts'
import { bodyOf, broker, clientOf, TOPIC, untilAdvanced } from './testing/fixture.ts'

function payloadOf(send: ReceivedSend): string {
  const view = new MetadataView()
  readMessageMetadata(send.body, 0, send.body.length, view)
  return send.body.toString('utf8', view.payloadStart)
}

const unbatched = { topic: TOPIC, batching: { enabled: false } }
const data = (text: string): { data: Buffer } => ({ data: Buffer.from(text) })

describe('producer', () => {
  test('what has no receipt is sent again, in order, when the connection is lost', async () => {
    let isCut = false
    const server = await broker({
      onSend: (send, connection) => {
        if (isCut || send.sequence < 2) return false
        if (send.sequence === 4) {
          isCut = true
          connection.destroy()
        }
        return true
      }
    })
    const producer = await clientOf(server).createProducer(unbatched)
    const ids = await Promise.all(['a', 'b', 'c', 'd', 'e'].map(text => producer.send(data(text))))
    expect(server.sends.map(payloadOf)).toEqual(['a', 'b', 'c', 'd', 'e', 'c', 'd', 'e'])
    expect(ids.map(id => id.entryId)).toEqual([0, 1, 5, 6, 7])
    expect(producer.lastSequenceId).toBe(4n)
    const names = server.received('producer').map(each => [each.producerName, each.epoch])
    expect(names).toEqual([
      ['', 0n],
      ['fake-1', 1n]
    ])
  })

  test('CLOSE_PRODUCER with an assigned broker moves there without a lookup', async () => {
    const next = await broker()
    const server = await broker({
      onSend: (_send, connection) => {
        connection.reply('closeProducer', {
          producerId: 0n,
          requestId: 2n ** 64n - 1n,
          assignedBrokerServiceUrl: next.url
        })
        return true
      }
    })
    const producer = await clientOf(server).createProducer(unbatched)
    await producer.send(data('moved'))
    expect(next.sends.map(payloadOf)).toEqual(['moved'])
    expect(server.received('lookupTopic')).toHaveLength(1)
    expect(next.received('lookupTopic')).toHaveLength(0)
  })

  test('a redirect is followed with what the broker said about authority', async () => {
    const owner = await broker()
    const server = await broker({
      onCommand: (command, connection) => {
        if (command.case !== 'lookupTopic') return false
        const { requestId } = command.value
        connection.reply('lookupTopicResponse', {
          requestId,
          response: 0,
          brokerServiceUrl: owner.url,
          authoritative: true
        })
        return true
      }
    })
    const producer = await clientOf(server).createProducer(unbatched)
    await producer.send(data('x'))
    expect(owner.received('lookupTopic')[0]?.authoritative).toBe(true)
    expect(owner.sends).toHaveLength(1)
  })

  test('behind a proxy the broker is named in CONNECT', async () => {
    const server = await broker({
      onCommand: (command, connection) => {
        if (command.case !== 'lookupTopic') return false
        const found = { response: 1, brokerServiceUrl: 'pulsar://inner:6650', proxyThroughServiceUrl: true } as const
        connection.reply('lookupTopicResponse', { requestId: command.value.requestId, ...found })
        return true
      }
    })
    const producer = await clientOf(server).createProducer(unbatched)
    await producer.send(data('x'))
    expect(server.received('connect').map(each => each.proxyToBrokerUrl)).toEqual(['', 'inner:6650'])
  })

  test('behind a proxy, a broker that another one names is reached by the proxy as well', async () => {
    let isMoved = false
    const server = await broker({
      onCommand: (command, connection) => {
        if (command.case !== 'lookupTopic') return false
        const found = { response: 1, brokerServiceUrl: 'pulsar://inner:6650', proxyThroughServiceUrl: true } as const
        connection.reply('lookupTopicResponse', { requestId: command.value.requestId, ...found })
        return true
      },
      onSend: (_send, connection) => {
        if (isMoved) return false
        isMoved = true
        const assignedBrokerServiceUrl = 'pulsar://[::1]:6651'
        connection.reply('closeProducer', { producerId: 0n, requestId: 2n ** 64n - 1n, assignedBrokerServiceUrl })
        return true
      }
    })
    const producer = await clientOf(server).createProducer(unbatched)
    await producer.send(data('moved'))
    const named = server.received('connect').map(each => each.proxyToBrokerUrl)
    expect(named).toEqual(['', 'inner:6650', '[::1]:6651'])
    expect(server.received('lookupTopic')).toHaveLength(1)
  })

  test('only the second answer to a producer that waits for exclusive access counts', async () => {
    const server = await broker({
      onCommand: (command, connection) => {
        if (command.case !== 'producer') return false
        const { requestId } = command.value
        const answer = { requestId, producerName: 'w', lastSequenceId: 6n }
        connection.reply('producerSuccess', { ...answer, producerReady: false })
        connection.reply('producerSuccess', { ...answer, producerReady: true, topicEpoch: 3n })
        return true
      }
    })
    const producer = await clientOf(server).createProducer({ ...unbatched, accessMode: 'wait-for-exclusive' })
    await producer.send(data('x'))
    expect(server.sends[0]?.sequence).toBe(7)
    for (const connection of server.connections) connection.destroy()
    await server.until(() => server.received('producer').length === 2)
    expect(server.received('producer')[1]).toMatchObject({ topicEpoch: 3n, producerName: 'w' })
  })

  test('a message without a receipt fails when its time is over', async () => {
    const clock = new ManualClock()
    const server = await broker({ onSend: () => true })
    const producer = await clientOf(server, { clock }).createProducer({ ...unbatched, sendTimeoutMs: 1000 })
    const first = producer.send(data('a')).catch((error: unknown) => error)
    clock.advance(600)
    const second = producer.send(data('b')).catch((error: unknown) => error)
    clock.advance(400)
    expect(clientErrors.is(await first, 'TIMEOUT')).toBe(true)
    clock.advance(600)
    expect(clientErrors.is(await second, 'TIMEOUT')).toBe(true)
  })

  test('a refused message fails alone, a terminated topic fails all', async () => {
    const server = await broker({
      onSend: (send, connection) => {
        const error = { a: 22, c: 15 }[payloadOf(send)]
        if (error === undefined) return false
        const sequenceId = BigInt(send.sequence)
        connection.reply('sendError', { producerId: 0n, sequenceId, error: error as 22, message: 'no' })
        return true
      }
    })
    const producer = await clientOf(server).createProducer(unbatched)
    await expect(producer.send(data('a'))).rejects.toThrow('NOT_ALLOWED')
    await producer.send(data('b'))
    await expect(producer.send(data('c'))).rejects.toThrow('TOPIC_TERMINATED')
    await expect(producer.send(data('d'))).rejects.toThrow('TOPIC_TERMINATED')
  })

  test('bounds push back: an error, or waiting for room', async () => {
    const held: { send: ReceivedSend; connection: FakeConnection }[] = []
    const server = await broker({
      onSend: (send, connection) => {
        held.push({ send, connection })
        return true
      }
    })
    const memory = new BytePool('client', 10)
    const client = clientOf(server, { memory })
    const producer = await client.createProducer(unbatched)
    const first = producer.send(data('0123456789'))
    await expect(producer.send(data('x'))).rejects.toThrow('MEMORY_LIMIT')
    const patient = await client.createProducer({ ...unbatched, blockIfQueueFull: true })
    const second = patient.send(data('y'))
    await server.until(() => held.length === 1)
    held[0]?.connection.receipt(held[0].send, 0)
    await first
    await server.until(() => held.length === 2)
    held[1]?.connection.receipt(held[1].send, 1)
    expect((await second).entryId).toBe(1)
    expect(memory.bytesHeld).toBe(0)
  })

  test('batches go by count, by delay and before a message that goes alone', async () => {
    const clock = new ManualClock()
    const server = await broker()
    const batching = { messagesMax: 3, delayMaxMs: 10 }
    const producer = await clientOf(server, { clock }).createProducer({ topic: TOPIC, batching })
    const sends = ['a', 'b', 'c', 'd'].map(text => producer.send(data(text)))
    await sends[2]
    expect(server.sends.map(send => send.numMessages)).toEqual([3])
    clock.advance(10)
    expect((await (sends[3] as Promise<MessageId>)).batchIndex).toBe(0)
    void producer.send(data('e'))
    await producer.send({ ...data('f'), deliverAtMs: 5 })
    expect(server.sends.map(send => send.numMessages)).toEqual([3, 1, 1, 1])
    expect(server.sends.map(send => send.sequence)).toEqual([0, 3, 4, 5])
    await producer.flush()
  })

  test('close waits for receipts and is told to the broker', async () => {
    const server = await broker()
    const producer = await clientOf(server).createProducer({ topic: TOPIC })
    const sent = producer.send(data('a'))
    await producer.close()
    expect((await sent).batchSize).toBe(1)
    expect(server.received('closeProducer')).toHaveLength(1)
    await expect(producer.send(data('b'))).rejects.toThrow('ALREADY_CLOSED')
  })

  test('an error that may pass is tried again until the operation timeout, another one is not', async () => {
    let refusals = 0
    const server = await broker({
      onCommand: (command, connection) => {
        if (command.case !== 'producer' || refusals >= 3) return false
        const error = ++refusals < 3 ? 6 : 16
        connection.reply('error', { requestId: command.value.requestId, error, message: 'not now' })
        return true
      }
    })
    await expect(clientOf(server).createProducer(unbatched)).rejects.toThrow('PRODUCER_BUSY')
    expect(refusals).toBe(3)
  })
})

describe('connection', () => {
  test('a peer that answers no ping is given up', async () => {
    const clock = new ManualClock()
    const server = await broker({ onCommand: command => command.case === 'ping' })
    const producer = await clientOf(server, { clock, keepAliveMs: 1000 }).createProducer(unbatched)
    expect(producer.isConnected).toBe(true)
    clock.advance(1000)
    await server.until(() => server.received('ping').length === 1)
    clock.advance(1000)
    expect(producer.isConnected).toBe(false)
  })

  test('many that find a host of the service URL silent go to the next one, each after one wait', async () => {
    const clock = new ManualClock()
    const silent = await broker({ onCommand: command => command.case === 'connect' })
    const other = await broker()
    const hosts = [silent, other].map(({ url }) => new URL(url).host).join(',')
    const client = clientOf(silent, { clock, serviceUrl: `pulsar://${hosts}`, connectTimeoutMs: 5000 })
    const producers = Promise.all(
      [1, 2, 3, 4].map(n => client.createProducer({ ...unbatched, topic: `${TOPIC}-${n}` }))
    )
    await silent.until(() => silent.received('connect').length === 1)
    clock.advance(5000)
    await producers
    expect(silent.received('connect')).toHaveLength(1)
    expect(other.received('connect')).toHaveLength(1)
  })

  test('credentials are shown, and shown again when asked', async () => {
    let token = 0
    const server = await broker()
    const authentication = tokenAuthentication(() => `token-${++token}`)
    await clientOf(server, { authentication }).createProducer(unbatched)
    expect(server.received('connect')[0]).toMatchObject({ authMethodName: 'token', authData: Buffer.from('token-1') })
    for (const connection of server.connections) connection.reply('authChallenge', {})
    await server.until(() => server.received('authResponse').length === 1)
    expect(server.received('authResponse')[0]?.response?.authData).toEqual(Buffer.from('token-2'))
  })

  test('a refused handshake says why', async () => {
    const server = await broker({
      onCommand: (command, connection) => {
        if (command.case !== 'connect') return false
        connection.reply('error', { requestId: 2n ** 64n - 1n, error: 3, message: 'Failed to authenticate' })
        return true
      }
    })
    await expect(clientOf(server).createProducer(unbatched)).rejects.toThrow('AUTHENTICATION_FAILED')
  })

  test.each(['ffffffff', '00000004ffffffff', '0000000a00000006080772020800'])('%s ends the connection', async bytes => {
    const server = await broker()
    const producer = await clientOf(server).createProducer(unbatched)
    const isBack = server.until(() => server.received('producer').length === 2)
    for (const connection of server.connections) connection.raw(Buffer.from(bytes, 'hex'))
    await isBack
    await producer.send(data('fine again'))
    expect(server.received('connect')).toHaveLength(2)
  })

  test('what is unknown or was not asked for is passed over', async () => {
    const server = await broker()
    const producer = await clientOf(server).createProducer(unbatched)
    for (const connection of server.connections) {
      connection.raw(Buffer.from('0000000900000005' + '0863' + '9a0600', 'hex'))
      connection.reply('producerSuccess', { requestId: 999n, producerName: 'nobody' })
      connection.reply('activeConsumerChange', { consumerId: 77n })
      connection.deliver(77, 0, bodyOf('for nobody'))
    }
    await producer.send(data('fine'))
    expect(server.received('connect')).toHaveLength(1)
  })

  test('an unanswered producer is closed at the broker before it is tried again', async () => {
    const clock = new ManualClock()
    const server = await broker({ onCommand: command => command.case === 'producer' })
    const opening = clientOf(server, { clock, operationTimeoutMs: 1000 }).createProducer(unbatched)
    const outcome = opening.catch((error: unknown) => error)
    await server.until(() => server.received('producer').length === 1)
    clock.advance(1000)
    expect(clientErrors.is(await outcome, 'TIMEOUT')).toBe(true)
    await server.until(() => server.received('closeProducer').length === 1)
  })
})

describe('consumer', () => {
  test('permits are granted at the start and half a queue at a time', async () => {
    const server = await broker()
    const consumer = await clientOf(server).subscribe({ topic: TOPIC, subscription: 's', receiverQueueSize: 4 })
    await server.until(() => server.received('flow').length === 1)
    const [connection] = server.connections
    for (let entry = 0; entry < 4; entry++) connection?.deliver(0, entry, bodyOf(`m${entry}`))
    expect((await consumer.receive()).text).toBe('m0')
    await consumer.receive()
    await server.until(() => server.received('flow').length === 2)
    expect(server.received('flow').map(flow => flow.messagePermits)).toEqual([4, 2])
  })

  test('acknowledgements go together, and resolve with their receipt', async () => {
    const clock = new ManualClock()
    const server = await broker()
    const options = { topic: TOPIC, subscription: 's', ackReceipts: true, ackGroupMs: 50 }
    const consumer = await clientOf(server, { clock }).subscribe(options)
    const [connection] = server.connections
    for (let entry = 0; entry < 3; entry++) connection?.deliver(0, entry, bodyOf(`m${entry}`))
    const messages = [await consumer.receive(), await consumer.receive(), await consumer.receive()]
    const done = consumer.acknowledge(messages)
    expect(server.received('ack')).toHaveLength(0)
    clock.advance(50)
    await done
    expect(server.received('ack').map(ack => ack.messageId.map(id => Number(id.entryId)))).toEqual([[0, 1, 2]])
  })

  test('a refused message is asked for again after a wait that grows with its deliveries', async () => {
    const clock = new ManualClock()
    const server = await broker()
    const negativeAckBackoff = { initialMs: 100, maxMs: 1000 }
    const options = { topic: TOPIC, subscription: 's', type: 'shared', negativeAckBackoff } as const
    const consumer = await clientOf(server, { clock }).subscribe(options)
    const [connection] = server.connections
    const redelivered = (): number => server.received('redeliverUnacknowledgedMessages').length
    for (const [count, waitMs] of [100, 200, 400, 800, 1000].entries()) {
      connection?.deliver(0, 5, bodyOf('again'), count)
      consumer.negativeAcknowledge(await consumer.receive())
      clock.advance(waitMs - 1)
      expect(redelivered()).toBe(count)
      clock.advance(SWEEP_SLACK_MS)
      await server.until(() => redelivered() === count + 1)
    }
    expect(server.received('redeliverUnacknowledgedMessages')[0]?.messageIds.map(id => id.entryId)).toEqual([5n])
  })

  test('after a reconnection, what was not taken is dropped, and what was acknowledged does not come again', async () => {
    const clock = new ManualClock()
    const server = await broker()
    const consumer = await clientOf(server, { clock }).subscribe({ topic: TOPIC, subscription: 's', ackGroupMs: 1000 })
    const [first] = server.connections
    for (let entry = 0; entry < 3; entry++) first?.deliver(0, entry, bodyOf(`m${entry}`))
    const message = await consumer.receive()
    void consumer.acknowledge(message)
    first?.destroy()
    await server.until(() => server.connections.size === 0)
    await untilAdvanced(clock, () => server.received('subscribe').length === 2)
    const [second] = server.connections
    await server.until(() => server.received('ack').length === 1)
    for (let entry = 1; entry < 3; entry++) second?.deliver(0, entry, bodyOf(`m${entry}`))
    expect([(await consumer.receive()).text, (await consumer.receive()).text]).toEqual(['m1', 'm2'])
  })

  test('a damaged message is acknowledged with the reason and not delivered', async () => {
    const server = await broker()
    const consumer = await clientOf(server).subscribe({ topic: TOPIC, subscription: 's' })
    const [connection] = server.connections
    connection?.deliver(0, 0, Buffer.concat([Buffer.from('0e01deadbeef', 'hex'), bodyOf('bad')]))
    connection?.deliver(0, 1, bodyOf('good'))
    expect((await consumer.receive()).text).toBe('good')
    await server.until(() => server.received('ack').length === 1)
    expect(server.received('ack')[0]).toMatchObject({ validationError: 2 })
  })

  test('waiting ends when the consumer is closed', async () => {
    const server = await broker()
    const consumer = await clientOf(server).subscribe({ topic: TOPIC, subscription: 's' })
    const waiting = consumer.receive().catch((error: unknown) => error)
    await consumer.close()
    expect(clientErrors.is(await waiting, 'ALREADY_CLOSED')).toBe(true)
  })

  test('a seek drops what came before its answer', async () => {
    const server = await broker({
      onCommand: (command, connection) => {
        if (command.case !== 'seek') return false
        connection.deliver(0, 7, bodyOf('old'))
        connection.reply('success', { requestId: command.value.requestId })
        connection.deliver(0, 2, bodyOf('new'))
        return true
      }
    })
    const consumer = await clientOf(server).subscribe({ topic: TOPIC, subscription: 's' })
    await consumer.seek(new MessageId({ ledgerId: 1, entryId: 1 }))
    expect((await consumer.receive()).text).toBe('new')
  })
})

/** Sweeps of redeliveries are this far apart at least. */
const SWEEP_SLACK_MS = 10
