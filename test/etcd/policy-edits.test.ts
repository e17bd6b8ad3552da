import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually } from '@strata/base/testing'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startEtcd, type EtcdPeers } from '../peers/etcd.ts'
import { BookieSet, startBroker, type BrokerProcess, type Settings } from '../support/cluster-process.ts'
import { freshPrefix, SCRIPTS, START_TIMEOUT_MS } from './etcd-store.ts'

/** Whose topics these are, and what is said where nobody says anything. */
const POLICIES = [
  { ofNamespace: 'messageTTL', ofTopic: 'messageTTL', key: 'ttlDurationDefaultInSeconds', unset: 77 },
  { ofNamespace: 'maxProducersPerTopic', ofTopic: 'maxProducers', key: 'maxProducersPerTopic', unset: 88 },
  { ofNamespace: 'maxConsumersPerTopic', ofTopic: 'maxConsumers', key: 'maxConsumersPerTopic', unset: 99 }
] as const
const TOPICS = ['a', 'b']
const BROKERS = 3
const RUNS = 15

type Level = 'namespace' | 'local' | 'global'

interface Edit {
  readonly level: Level
  readonly topic: number
  readonly policy: number
  /** undefined: removes it. */
  readonly value: number | undefined
  /** Of the admin that makes it. */
  readonly broker: number
}

let etcd: EtcdPeers
let root: string
let bookies: BookieSet
const brokers: BrokerProcess[] = []

beforeAll(async () => {
  etcd = await startEtcd({ scripts: SCRIPTS })
  root = mkdtempSync(join(tmpdir(), 'strata-'))
  writeFileSync(join(root, 'secret'), 'of this cluster alone, and of nobody else')
  const metadataUrl = `etcd:http://${etcd.endpoints.join(',')}${freshPrefix()}`
  const common: Settings = { strataClusterSecretFile: join(root, 'secret') }
  bookies = new BookieSet({ data: root, metadataUrl, set: common })
  await bookies.start(0)
  const quorum = ['Ensemble', 'WriteQuorum', 'AckQuorum'].map(
    part => [`managedLedgerDefault${part}${part === 'Ensemble' ? 'Size' : ''}`, 1] as const
  )
  const unset = POLICIES.map(({ key, unset }) => [key, unset] as const)
  const set: Settings = { ...common, ...Object.fromEntries([...quorum, ...unset]) }
  for (let index = 0; index < BROKERS; index++) brokers.push(await startBroker({ metadataUrl, set }))
}, START_TIMEOUT_MS)

afterAll(async () => {
  for (const broker of brokers) await broker.kill()
  await bookies.killAll()
  rmSync(root, { recursive: true, force: true })
  await etcd.stop()
})

async function admin(broker: number, method: string, path: string, body?: unknown): Promise<unknown> {
  const answer = await fetch(`${brokers[broker]?.ready.webUrl}/admin/v2/${path}`, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(30_000)
  })
  const text = await answer.text()
  expect(answer.ok, `${method} ${path}: ${answer.status} ${text}`).toBe(true)
  return text === '' ? undefined : (JSON.parse(text) as unknown)
}

/** One namespace with its topics, and what two admins do to their policies. */
class Scene {
  readonly #namespace: string
  /** What was set, by where. */
  readonly #set = new Map<string, number>()

  constructor(namespace: string) {
    this.#namespace = namespace
  }

  async create(): Promise<void> {
    await admin(0, 'PUT', `namespaces/${this.#namespace}`, { bundles: { numBundles: 4 } })
    for (const topic of TOPICS) await admin(0, 'PUT', `persistent/${this.#namespace}/${topic}`)
  }

  /** All at one moment. Of several to the same place one is the last: which, is asked of one broker. */
  async perform(edits: readonly Edit[]): Promise<void> {
    await Promise.all(edits.map(edit => admin(edit.broker, this.#method(edit), this.#pathOf(edit), edit.value)))
    for (const edit of edits) {
      const rivals = edits.filter(other => placeOf(other) === placeOf(edit))
      if (rivals.length === 1) this.#note(edit, edit.value)
      else {
        const value = await this.#stored(edit)
        expect(rivals.map(rival => rival.value)).toContain(value)
        this.#note(edit, value)
      }
    }
  }

  /** Every broker shows for every topic what its rows give, the most particular first. */
  async check(): Promise<void> {
    for (const broker of brokers.keys()) {
      await eventually(async () => {
        for (const [topic, name] of TOPICS.entries()) {
          for (const [policy, { ofTopic, unset }] of POLICIES.entries()) {
            const path = `persistent/${this.#namespace}/${name}/${ofTopic}?applied=true`
            const of = (level: Level): number | undefined => this.#set.get(placeOf({ level, topic, policy }))
            const expected = of('local') ?? of('global') ?? of('namespace') ?? unset
            expect(await admin(broker, 'GET', path), `${path} of broker ${broker}`).toBe(expected)
          }
        }
      })
    }
  }

  #note(edit: Edit, value: number | undefined): void {
    if (value === undefined) this.#set.delete(placeOf(edit))
    else this.#set.set(placeOf(edit), value)
  }

  async #stored(edit: Edit): Promise<number | undefined> {
    return (await admin(0, 'GET', this.#pathOf(edit))) as number | undefined
  }

  #method({ value }: Edit): 'POST' | 'DELETE' {
    return value === undefined ? 'DELETE' : 'POST'
  }

  #pathOf({ level, topic, policy }: Edit): string {
    const names = POLICIES[policy] ?? POLICIES[0]
    if (level === 'namespace') return `namespaces/${this.#namespace}/${names.ofNamespace}`
    return `persistent/${this.#namespace}/${TOPICS[topic]}/${names.ofTopic}?isGlobal=${level === 'global'}`
  }
}

function placeOf({ level, topic, policy }: Pick<Edit, 'level' | 'topic' | 'policy'>): string {
  return `${level} ${level === 'namespace' ? '' : topic} ${policy}`
}

const edit = (broker: number): fc.Arbitrary<Edit> =>
  fc.record({
    level: fc.constantFrom<Level>('namespace', 'local', 'global'),
    topic: fc.nat(TOPICS.length - 1),
    policy: fc.nat(POLICIES.length - 1),
    value: fc.option(fc.nat(9), { nil: undefined, freq: 4 }),
    broker: fc.constant(broker)
  })
/** What two admins do, each by a broker of its own, alone or at the same moment. */
const moment = fc.oneof(
  fc.tuple(edit(0)),
  fc.tuple(edit(1)),
  fc.tuple(edit(0), edit(1)),
  fc.tuple(edit(0), edit(0), edit(1), edit(1))
)

test('edits of two admins by their brokers hold on all three as the rows give them, and none is lost', async () => {
  let run = 0
  await fc.assert(
    fc.asyncProperty(fc.array(moment, { minLength: 1, maxLength: 8 }), async moments => {
      const scene = new Scene(`public/edited-${run++}`)
      await scene.create()
      for (const edits of moments) await scene.perform(edits)
      await scene.check()
    }),
    { numRuns: RUNS, endOnFailure: true }
  )
}, 300_000)
