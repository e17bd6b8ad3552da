import { strict as assert } from 'node:assert'
import { bookieId, silentLogger, systemClock } from '@strata/base'
import { createLedgerClient } from '@strata/ledger-client'
import { directoryOf, MemoryBookieNode } from '@strata/ledger-client/testing'
import { createManagedLedgerFactory } from '@strata/managed-ledger'
import { MemoryMetadataStore } from '@strata/metadata'
import type { CommandBody } from '@strata/wire'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { createBroker, type Broker } from '../broker.ts'
import { defaultBrokerSettings } from '../config/settings.ts'
import { brokerError } from '../errors.ts'
import type { BrokerAddress, BundleHold, Placement } from '../ownership/contract.ts'
import { SoleOwnership } from '../ownership/sole-ownership.ts'
import { RawClient } from './testing/raw-client.ts'

const TOPIC = 'persistent://public/default/t'
const METADATA_ERROR = 1
const TOO_MANY_REQUESTS = 14

/** Nobody has anything until a test says where it is. */
class UnsettledOwnership extends SoleOwnership {
  readonly questions: { take: boolean; resolve: (placement: Placement) => void; reject: (error: Error) => void }[] = []
  #onAsked: () => void = () => undefined

  override holdOf(): BundleHold | undefined {
    return undefined
  }

  override locate(_bundle: unknown, options: { take?: boolean } = {}): Promise<Placement> {
    return new Promise((resolve, reject) => {
      this.questions.push({ take: options.take ?? false, resolve, reject })
      this.#onAsked()
    })
  }

  async asked(count: number): Promise<void> {
    while (this.questions.length < count) await new Promise<void>(resolve => (this.#onAsked = resolve))
  }
}

const ELSEWHERE: BrokerAddress = {
  id: 'b:8080',
  instance: 'b',
  version: '1',
  startedAtMs: 0,
  urls: urls('b'),
  listeners: new Map([['outside', urls('b.example')]]),
  isDraining: false
}

function urls(host: string): BrokerAddress['urls'] {
  return {
    brokerUrl: `pulsar://${host}:6650`,
    brokerUrlTls: `pulsar+ssl://${host}:6651`,
    httpUrl: `http://${host}:8080`,
    httpUrlTls: undefined
  }
}

let metadata: MemoryMetadataStore
let broker: Broker
let ownership: UnsettledOwnership
let client: RawClient

beforeEach(async () => {
  metadata = new MemoryMetadataStore()
  const clock = systemClock
  const logger = silentLogger
  const ledgers = createLedgerClient({
    ...{ metadata, clock, logger, directory: directoryOf([new MemoryBookieNode(bookieId('one'))]) },
    quorum: { ensembleSize: 1, writeQuorum: 1, ackQuorum: 1 },
    random: () => 0
  })
  const logs = createManagedLedgerFactory({ metadata, ledgers, cacheBytesMax: 1 << 20 })
  const settings = { ...defaultBrokerSettings(), brokerServicePort: 0, maxConcurrentLookupRequest: 2 }
  ownership = new UnsettledOwnership({ metadata, clock })
  broker = await createBroker({ settings, metadata, logs, clock, logger, ownership })
  await broker.start()
  client = await RawClient.open({ port: broker.ports.broker })
  await client.connect()
})
afterEach(async () => {
  client.destroy()
  await broker.close()
  await metadata.close()
})

function ask(init: { authoritative?: boolean; advertisedListenerName?: string } = {}): bigint {
  const requestId = client.requestId()
  client.send('lookupTopic', { topic: TOPIC, requestId, ...init })
  return requestId
}

async function answer(requestId: bigint): Promise<CommandBody<'lookupTopicResponse'>> {
  const { case: name, value } = await client.answerTo(requestId)
  assert(name === 'lookupTopicResponse')
  return value
}

describe('a lookup while nobody serves the topic', () => {
  test('is held, and answered with the address for its listener as soon as there is an owner', async () => {
    const lookups = [ask(), ask({ authoritative: true, advertisedListenerName: 'outside' })]
    await ownership.asked(2)
    await client.settle()
    assert.deepEqual(client.inbox, [])
    assert.deepEqual(
      ownership.questions.map(({ take }) => take),
      [false, true]
    )
    for (const { resolve } of ownership.questions) resolve({ kind: 'there', broker: ELSEWHERE })
    const answers = [await answer(lookups[0] ?? 0n), await answer(lookups[1] ?? 0n)]
    assert.deepEqual(
      answers.map(({ response, brokerServiceUrl, brokerServiceUrlTls }) => [
        response,
        brokerServiceUrl,
        brokerServiceUrlTls
      ]),
      [
        [1, 'pulsar://b:6650', 'pulsar+ssl://b:6651'],
        [1, 'pulsar://b.example:6650', 'pulsar+ssl://b.example:6651']
      ]
    )
  })

  test('too many of them are refused, and there is room again afterwards', async () => {
    ask()
    ask()
    await ownership.asked(2)
    assert.equal((await answer(ask())).error, TOO_MANY_REQUESTS)
    ownership.questions[0]?.resolve({ kind: 'there', broker: ELSEWHERE })
    await client.next('lookupTopicResponse')
    ask()
    await ownership.asked(3)
  })

  test('that cannot be held any longer is one that every client tries again', async () => {
    const ends: [Error, number][] = [
      [brokerError('MetadataError', 'no owner in time'), METADATA_ERROR],
      [brokerError('ServiceNotReady', 'never said in a lookup'), METADATA_ERROR],
      [new Error('what has no code'), METADATA_ERROR],
      [brokerError('TooManyRequests', 'too many wait'), TOO_MANY_REQUESTS]
    ]
    for (const [index, [error, code]] of ends.entries()) {
      const lookup = ask()
      await ownership.asked(index + 1)
      ownership.questions[index]?.reject(error)
      assert.equal((await answer(lookup)).error, code)
    }
  })

  test('a listener that the owner does not have is named in the words that clients look for', async () => {
    const lookup = ask({ advertisedListenerName: 'nope' })
    await ownership.asked(1)
    ownership.questions[0]?.resolve({ kind: 'there', broker: ELSEWHERE })
    assert.equal((await answer(lookup)).message, 'the broker do not have nope listener')
  })

  test('a producer that comes meanwhile is held as well', async () => {
    const requestId = client.requestId()
    client.send('producer', { topic: TOPIC, producerId: 0n, requestId })
    await ownership.asked(1)
    ownership.questions[0]?.resolve({ kind: 'there', broker: ELSEWHERE })
    const refused = await client.answerTo(requestId)
    assert(refused.case === 'error')
    assert.equal(refused.value.error, 6)
  })

  test('of a namespace that does not exist is answered at once: there is nothing to find', async () => {
    const requestId = client.requestId()
    client.send('lookupTopic', { topic: 'persistent://public/nowhere/t', requestId })
    assert.equal((await answer(requestId)).brokerServiceUrl, `pulsar://127.0.0.1:${broker.ports.broker}`)
  })
})
