import { strict as assert } from 'node:assert'
import type { MetadataRecord, Transaction, TransactionResult } from '@strata/metadata'
import { afterEach, describe, test } from 'vitest'
import { BrokerWorld } from '../connection/testing/broker-world.ts'
import { TopicName } from '../namespace/topic-name.ts'

const LOCAL_NAME = 'doomed'
const TOPIC = `persistent://public/default/${LOCAL_NAME}`
const NAME = TopicName.parse(TOPIC)
const JSON_SCHEMA = 2
/** Far more than any deletion here takes. */
const STEPS_MAX = 200

let world: BrokerWorld
afterEach(async () => {
  await world.close()
})

/** The process dies after so many more transactions: the rest never reaches the store. */
class Death {
  readonly #transact: (transaction: Transaction) => Promise<TransactionResult>
  #left = Infinity
  count = 0

  constructor() {
    const { metadata } = world
    this.#transact = metadata.transact.bind(metadata)
    metadata.transact = async transaction => {
      if (this.count >= this.#left) throw new Error('the process is dead')
      this.count += 1
      return this.#transact(transaction)
    }
  }

  after(transactions: number): void {
    this.count = 0
    this.#left = transactions
  }

  undo(): void {
    this.#left = Infinity
  }
}

async function everyRecord(): Promise<MetadataRecord[]> {
  const records: MetadataRecord[] = []
  for (let after: string | undefined; ;) {
    const page = await world.metadata.scan({ prefix: '', ...(after === undefined ? {} : { after }) })
    records.push(...page.records)
    if (page.next === undefined) return records
    after = page.next
  }
}

/** Ledgers, cursors, a schema: everything that a topic can have. */
async function fill(topic: string): Promise<void> {
  const client = await world.connect()
  const schemaData = Buffer.from('{"type":"record","name":"R","fields":[]}')
  await client.subscribe(topic, { subscription: 'first' })
  await client.producer(topic, { schema: { name: 's', schemaData, type: JSON_SCHEMA } })
  for (let sequenceId = 0n; sequenceId < 3n; sequenceId++) {
    client.publish({ sequenceId })
    await client.next('sendReceipt')
  }
  client.flow(1)
  const { message } = await client.nextMessage()
  assert.ok(message.messageId !== undefined)
  await client.request('ack', { consumerId: 0n, ackType: 0, messageId: [message.messageId] })
  client.destroy()
}

async function deletionEnded(): Promise<void> {
  while ((await world.broker.namespaces.topics.get(NAME)) !== undefined) {
    await new Promise(resolve => setImmediate(resolve))
  }
}

/** Deletes, dies after so many transactions, starts anew. Returns whether the deletion was through before. */
async function deleteAndDie(partitions: number, transactions: number): Promise<boolean> {
  world = await BrokerWorld.start({ managedLedgerMaxEntriesPerLedger: 1, managedLedgerMinLedgerRolloverTimeMinutes: 0 })
  if (partitions > 0) await world.broker.namespaces.topics.create(NAME, { partitions })
  for (const part of partitions > 0 ? [`${TOPIC}-partition-0`, `${TOPIC}-partition-1`] : [TOPIC]) await fill(part)
  const before = await everyRecord()
  assert.ok(before.filter(({ key }) => key.includes(LOCAL_NAME)).length >= 4, 'record, schema, log, ledgers')
  const death = new Death()
  death.after(transactions)
  const isThrough = await world.broker.topics.delete(NAME, { force: true }).then(
    () => death.count < transactions,
    () => false
  )
  death.undo()
  await world.crash()
  return isThrough
}

async function assertNothingIsLeft(): Promise<void> {
  const left = await everyRecord()
  assert.deepEqual(
    left.map(({ key }) => key).filter(key => key.includes(LOCAL_NAME) || key.startsWith('ledgers/')),
    []
  )
}

describe('a deletion that a crash cuts short', () => {
  test.each([0, 2])('leaves nothing behind, wherever it was cut (%i partitions)', async partitions => {
    let steps = 0
    for (let isThrough = false; !isThrough; steps++) {
      assert.ok(steps < STEPS_MAX)
      if (steps > 0) await world.close()
      isThrough = await deleteAndDie(partitions, steps)
      const record = await world.broker.namespaces.topics.get(NAME)
      // cut before the first transaction it was never begun
      if (record?.isDeleting === false) await world.broker.topics.delete(NAME, { force: true })
      await deletionEnded()
      await assertNothingIsLeft()
    }
    assert.ok(steps > 4, `${steps} places to cut it`)
  })
})
