import { strict as assert } from 'node:assert'
import { setTimeout as delay } from 'node:timers/promises'
import { MessageId, PulsarClient } from '@strata/client'
import { test } from 'vitest'
import { SeededRandom, seedOfRun } from '../support/random.ts'
import { startStrata, withDirectory, type StrataProcess } from '../support/strata-process.ts'
import { type AckRecord, idOf, Ledger, PLANS, runLoad, subscribe, TOPIC, type SubscriptionPlan } from './kill-load.ts'

const ROUNDS = Number(process.env['STRATA_TEST_KILL_ROUNDS'] ?? 10)
/** Every round reads all that was ever stored: many rounds begin anew now and then. */
const ROUNDS_ON_ONE_DIRECTORY = 20
const FLOWING_MESSAGES = 1000
/** Acknowledgements nobody answered are durable within a second, and the time that the process needs for anything durable. */
const UNANSWERED_MS_MAX = 1500

const SETTINGS = {
  defaultRetentionTimeInMinutes: -1,
  defaultRetentionSizeInMB: -1,
  managedLedgerMaxEntriesPerLedger: 5000,
  managedLedgerMinLedgerRolloverTimeMinutes: 0,
  // the check takes everything that is left without acknowledging it
  maxUnackedMessagesPerConsumer: 0,
  maxUnackedMessagesPerSubscription: 0,
  strataLogLevel: 'warn'
}

test(
  `kill -9 under load, ${ROUNDS} rounds: nothing that was acknowledged is lost, nothing answered comes back`,
  async () => {
    const seed = seedOfRun()
    const random = new SeededRandom(seed)
    const total = { acknowledged: 0, lateAcksBack: 0 }
    for (let first = 0; first < ROUNDS; first += ROUNDS_ON_ONE_DIRECTORY) {
      const end = Math.min(ROUNDS, first + ROUNDS_ON_ONE_DIRECTORY)
      await runRounds({ first, end, random, total, where: `STRATA_TEST_SEED=${seed}` })
    }
    assert(total.acknowledged > ROUNDS * 100, `only ${total.acknowledged} messages were acknowledged`)
    process.stdout.write(
      `kill: ${ROUNDS} rounds, ${total.acknowledged} messages acknowledged, ` +
        `${total.lateAcksBack} unanswered acknowledgements of the last second came back\n`
    )
  },
  120_000 + ROUNDS * 30_000
)

interface Rounds {
  readonly first: number
  readonly end: number
  readonly random: SeededRandom
  readonly total: { acknowledged: number; lateAcksBack: number }
  readonly where: string
}

function runRounds({ first, end, random, total, where }: Rounds): Promise<void> {
  const ledger = new Ledger()
  return withDirectory(async data => {
    for (let round = first; round < end; round++) {
      const strata = await startStrata({ data, set: SETTINGS })
      await runLoad(strata, round, ledger, async () => {
        await flowing(ledger)
        await delay(random.between(0, 1500))
        const killedAtMs = performance.now()
        await strata.kill()
        ledger.onKilled(killedAtMs)
      })
      const again = await startStrata({ data, set: SETTINGS })
      try {
        await check(again, ledger, { counted: total, where: `round ${round}, ${where}` })
      } finally {
        await again.kill()
      }
    }
    total.acknowledged += ledger.acknowledgedSends.size
  })
}

/** The kill must hit a load that flows, not one that starts. */
async function flowing(ledger: Ledger): Promise<void> {
  const enough = ledger.acknowledgedSends.size + FLOWING_MESSAGES
  while (ledger.acknowledgedSends.size < enough) await delay(5)
}

interface Circumstances {
  readonly counted: { lateAcksBack: number }
  readonly where: string
}

async function check(strata: StrataProcess, ledger: Ledger, circumstances: Circumstances): Promise<void> {
  const client = new PulsarClient({ serviceUrl: strata.brokerUrl })
  const stored = await readAll(client)
  const { where } = circumstances
  const lost = [...ledger.acknowledgedSends].filter(id => !stored.has(id))
  assert.deepEqual(lost.slice(0, 5), [], `${lost.length} acknowledged messages are gone (${where})`)
  for (const plan of PLANS) await checkSubscription(client, plan, stored, ledger, circumstances)
  client.shutdown()
}

/** Every stored message once, each producer's in the order it was sent. */
async function readAll(client: PulsarClient): Promise<Set<string>> {
  const reader = await client.createReader({ topic: TOPIC, startMessageId: MessageId.earliest })
  const stored = new Set<string>()
  const latest = new Map<string, number>()
  while (await reader.hasMessageAvailable()) {
    const id = idOf(await reader.readNext(20_000))
    const [producer = '', number] = id.split(':')
    assert(!stored.has(id), `${id} is stored twice`)
    assert(Number(number) > (latest.get(producer) ?? -1), `${id} stands behind a later message of its producer`)
    latest.set(producer, Number(number))
    stored.add(id)
  }
  await reader.close()
  return stored
}

async function checkSubscription(
  client: PulsarClient,
  plan: SubscriptionPlan,
  stored: ReadonlySet<string>,
  ledger: Ledger,
  { counted, where }: Circumstances
): Promise<void> {
  const acks = ledger.acks.get(plan.name) ?? new Map<string, AckRecord>()
  const expected = new Set([...stored].filter(id => !acks.has(id)))
  const came = new Set<string>()
  const consumer = await subscribe(client, plan)
  while (expected.size > 0) {
    const id = idOf(await consumer.receive(20_000))
    assert(!came.has(id), `${plan.name}: ${id} came twice (${where})`)
    came.add(id)
    expected.delete(id)
    const ack = acks.get(id)
    if (ack === undefined) continue
    assert(!ack.answered, `${plan.name}: ${id} came back although its acknowledgement was answered (${where})`)
    const ageMs = ack.killedAtMs - ack.askedAtMs
    assert(
      ageMs < UNANSWERED_MS_MAX + ack.slowestSendMs,
      `${plan.name}: ${id} came back, acknowledged ${ageMs} ms before the kill, when no message waited longer than ` +
        `${ack.slowestSendMs} ms for its receipt (${where})`
    )
    counted.lateAcksBack += 1
    // it is unacknowledged again, and must come in the next rounds until somebody acknowledges it anew
    acks.delete(id)
  }
  await consumer.close()
}
