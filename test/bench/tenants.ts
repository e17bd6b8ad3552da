import { strict as assert } from 'node:assert'
import { randomInt } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { LevelMetadataStore } from '@strata/metadata'
import { median } from './perf.ts'
import { startServer, type Server } from './servers.ts'

/*
  npm run bench:tenants -- [--tenants 100] [--namespaces 100] [--topics 10]

  What reading costs where there is one tenant and where there are many: lists, stats and policies of one of them, asked over HTTP; what
  a namespace with its topics takes of the broker's memory, and how many keys of metadata.
*/

const SAMPLES = 301
const WARM_UPS = 300
const LANES = 32
const IN_USE = 50
const RATIO_MAX = 2
const SETTINGS = { brokerDeleteInactiveTopicsEnabled: 'false' }

interface Counts {
  readonly tenants: number
  readonly namespaces: number
  readonly topics: number
}

interface Cost {
  /** Median. */
  readonly ms: number
  /** On average. */
  readonly cpuMs: number
}

const named = (kind: string, index: number): string => `${kind}-${String(index).padStart(3, '0')}`

class World {
  readonly #server: Server
  readonly #counts: Counts
  readonly #allowedClusters: readonly string[]
  tenants = 0

  private constructor(server: Server, counts: Counts, clusters: readonly string[]) {
    this.#server = server
    this.#counts = counts
    this.#allowedClusters = clusters
  }

  static async open(server: Server, counts: Counts): Promise<World> {
    const answer = await fetch(`http://127.0.0.1:${server.webPort}/admin/v2/clusters`)
    return new World(server, counts, (await answer.json()) as string[])
  }

  /** Tenants with all that is theirs, until there are so many. @returns topics made a second */
  async fill(tenants: number): Promise<number> {
    const { namespaces, topics } = this.#counts
    const from = this.tenants
    const startedAt = performance.now()
    const work: (() => Promise<unknown>)[] = []
    for (let t = from; t < tenants; t++) {
      const body = { adminRoles: [], allowedClusters: this.#allowedClusters }
      await this.ask('PUT', `tenants/${named('tenant', t)}`, body)
      for (let n = 0; n < namespaces; n++) {
        const namespace = `${named('tenant', t)}/${named('ns', n)}`
        work.push(async () => {
          await this.ask('PUT', `namespaces/${namespace}`, {})
          const retention = { retentionTimeInMinutes: 10, retentionSizeInMB: 10 }
          await this.ask('POST', `namespaces/${namespace}/retention`, retention)
          for (let i = 0; i < topics; i++) await this.ask('PUT', `persistent/${namespace}/${named('topic', i)}`)
        })
      }
    }
    const lane = async (): Promise<void> => {
      for (let next = work.pop(); next !== undefined; next = work.pop()) {
        await next()
        if (work.length % 1000 === 0 && work.length > 0) process.stderr.write(`${work.length} namespaces to make\n`)
      }
    }
    await Promise.all(Array.from({ length: LANES }, lane))
    this.tenants = tenants
    return ((tenants - from) * namespaces * topics * 1000) / (performance.now() - startedAt)
  }

  async measure(): Promise<Map<string, Cost>> {
    const { namespaces, topics } = this.#counts
    const tenant = (): string => named('tenant', randomInt(this.tenants))
    const namespace = (): string => `${tenant()}/${named('ns', randomInt(namespaces))}`
    const topic = (): string => `${namespace()}/${named('topic', randomInt(topics))}`
    // whatever is asked for first is loaded
    const inUse = Array.from({ length: IN_USE }, topic)
    for (const each of inUse) await this.ask('GET', `persistent/${each}/stats`)
    const works: [string, () => Promise<unknown>][] = [
      ['topics of a namespace', () => this.ask('GET', `persistent/${namespace()}`)],
      ['namespaces of a tenant', () => this.ask('GET', `namespaces/${tenant()}`)],
      ['stats of a topic in use', () => this.ask('GET', `persistent/${inUse[randomInt(inUse.length)] ?? ''}/stats`)],
      ['all policies of a namespace', () => this.ask('GET', `namespaces/${namespace()}`)],
      ['one policy of a namespace', () => this.ask('GET', `namespaces/${namespace()}/retention`)],
      ['one policy of a topic, applied', () => this.ask('GET', `persistent/${topic()}/retention?applied=true`)],
      ['one tenant', () => this.ask('GET', `tenants/${tenant()}`)]
    ]
    const costs = new Map<string, Cost>()
    for (const [name, work] of works) {
      for (let i = 0; i < WARM_UPS; i++) await work()
      costs.set(name, await this.#sampled(work))
    }
    return costs
  }

  async ask(method: string, path: string, body?: object): Promise<void> {
    const init =
      body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
    const answer = await fetch(`http://127.0.0.1:${this.#server.webPort}/admin/v2/${path}`, { method, ...init })
    const text = await answer.text()
    assert(answer.ok, `${method} ${path}: ${answer.status} ${text}`)
  }

  async #sampled(work: () => Promise<unknown>): Promise<Cost> {
    const before = this.#server.cpuSeconds()
    const tookMs: number[] = []
    for (let sample = 0; sample < SAMPLES; sample++) {
      const startedAt = performance.now()
      await work()
      tookMs.push(performance.now() - startedAt)
    }
    return { ms: median(tookMs), cpuMs: ((this.#server.cpuSeconds() - before) * 1000) / SAMPLES }
  }
}

export async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      tenants: { type: 'string', default: '100' },
      namespaces: { type: 'string', default: '100' },
      topics: { type: 'string', default: '10' }
    }
  })
  const counts = {
    tenants: Number(values.tenants),
    namespaces: Number(values.namespaces),
    topics: Number(values.topics)
  }
  const data = mkdtempSync(join(tmpdir(), 'strata-bench-tenants-'))
  try {
    const before = await onServer(
      data,
      async (world, server) => {
        await world.fill(1)
        await world.measure() // compiles what is measured
        const one = await world.measure()
        const residentBytes = server.residentBytes()
        const rate = await world.fill(counts.tenants)
        return { one, many: await world.measure(), rate, grownBytes: server.residentBytes() - residentBytes }
      },
      counts
    )
    return tell(before, await keysOf(data), counts)
  } finally {
    rmSync(data, { recursive: true, force: true })
  }
}

async function onServer<T>(
  data: string,
  use: (world: World, server: Server) => Promise<T>,
  counts: Counts
): Promise<T> {
  const server = await startServer('strata', data, SETTINGS)
  try {
    return await use(await World.open(server, counts), server)
  } finally {
    await server.stop()
  }
}

interface Told {
  readonly one: ReadonlyMap<string, Cost>
  readonly many: ReadonlyMap<string, Cost>
  /** Topics made a second. */
  readonly rate: number
  /** Resident, while all but the first tenant were made and read. */
  readonly grownBytes: number
}

function tell({ one, many, rate, grownBytes }: Told, keys: number, { tenants, namespaces, topics }: Counts): number {
  const lines = [
    `| work | median ms, 1 tenant | ${tenants} | ratio | CPU ms, 1 tenant | ${tenants} |`,
    '| - | - | - | - | - | - |'
  ]
  let missed = 0
  for (const [name, cost] of many) {
    const before = one.get(name) ?? assert.fail(name)
    const ratio = cost.cpuMs / before.cpuMs
    if (ratio > RATIO_MAX) missed += 1
    const cells = [before.ms, cost.ms, cost.ms / before.ms, before.cpuMs, cost.cpuMs].map(cell => cell.toFixed(2))
    lines.push(`| ${name}${ratio > RATIO_MAX ? ' (missed)' : ''} | ${cells.join(' | ')} |`)
  }
  const all = tenants * namespaces
  lines.push(`${(tenants - 1) * namespaces * topics} topics made, ${rate.toFixed(0)}/s`)
  lines.push(
    `${(grownBytes / 1024 / (all - namespaces)).toFixed(2)} KB resident for a namespace with its ${topics} topics`
  )
  lines.push(`${(keys / all).toFixed(2)} keys of metadata for a namespace with its ${topics} topics`)
  process.stdout.write(`${lines.join('\n')}\n`)
  return missed === 0 ? 0 : 1
}

/** All there are, of a server that was stopped. */
async function keysOf(data: string): Promise<number> {
  const store = await LevelMetadataStore.open({ directory: join(data, 'metadata') })
  try {
    let keys = 0
    for (let after: string | undefined; ;) {
      const { records, next } = await store.scan({
        prefix: '',
        keysOnly: true,
        ...(after === undefined ? {} : { after })
      })
      keys += records.length
      if (next === undefined) return keys
      after = next
    }
  } finally {
    await store.close()
  }
}
