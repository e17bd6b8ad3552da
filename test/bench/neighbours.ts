import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { setPriority, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { ROOT } from '../tidy/repository.ts'
import { ConsumeLoad } from './load/consume.ts'
import { produceLoad } from './load/produce.ts'
import { startServer, type Server } from './servers.ts'

/*
  npm run bench:neighbours -- [--seconds 15] [--rate 500] [--consumers 5000] [--only flood,consumers,admin] [--set KEY=VALUE]

  What a quiet tenant sees of its neighbours on one broker: p99 of its publishes alone, while one floods with publishes, one holds many
  consumers, one loops admin calls, and beside all three. Neighbours are processes of their own that give way to the rest of the
  machine (`nice 10`), as they would stand elsewhere.
*/

const NOISES = ['flood', 'consumers', 'admin'] as const
type Noise = (typeof NOISES)[number]

const RATIO_MAX = 2
const NICE = 10
const WARM_UP_SECONDS = 4
const ADMIN_LANES = 8
const CONSUMER_TOPICS = 10
const SUBSCRIBING = 50

interface Ports {
  readonly brokerPort: number
  readonly webPort: number
  readonly consumers: number
}

/** Entry of the process that measures. @returns the exit code */
export async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: 'string', default: '15' },
      rate: { type: 'string', default: '500' },
      consumers: { type: 'string', default: '5000' },
      only: { type: 'string', default: NOISES.join(',') },
      set: { type: 'string', multiple: true, default: [] }
    }
  })
  const noises = NOISES.filter(noise => values.only.split(',').includes(noise))
  const data = mkdtempSync(join(tmpdir(), 'strata-bench-neighbours-'))
  const server = await startServer(
    'strata',
    data,
    Object.fromEntries(values.set.map(pair => pair.split('=') as [string, string]))
  )
  try {
    await makeTenants(server.webPort)
    const ports = { brokerPort: server.brokerPort, webPort: server.webPort, consumers: Number(values.consumers) }
    const quiet = (): Promise<Seen> =>
      quietTenant(server, { seconds: Number(values.seconds), rate: Number(values.rate) })
    const alone = await quiet()
    tell('alone', alone, alone)
    const together: Noise[][] = [...noises.map(noise => [noise]), ...(noises.length > 1 ? [noises] : [])]
    let missed = 0
    for (const each of together) {
      const from = { messages: await floodedMessages(server.webPort), atMs: performance.now() }
      const seen = await beside(each, ports, quiet)
      const flooded = (await floodedMessages(server.webPort)) - from.messages
      const perSecond = (flooded * 1000) / (performance.now() - from.atMs)
      if (flooded > 0) process.stdout.write(`  (the flood: ${perSecond.toFixed(0)} msg/s)\n`)
      if (tell(each.join(' + '), seen, alone) > RATIO_MAX) missed += 1
    }
    const again = await quiet()
    tell('alone again', again, alone)
    return missed === 0 ? 0 : 1
  } finally {
    await server.stop()
    rmSync(data, { recursive: true, force: true })
  }
}

interface Seen {
  readonly medianMs: number
  readonly p99Ms: number
}

function tell(beside: string, { medianMs, p99Ms }: Seen, alone: Seen): number {
  const ratio = p99Ms / alone.p99Ms
  const missed = ratio > RATIO_MAX ? ` (missed, at most ${RATIO_MAX}x)` : ''
  const figures = `median ${medianMs.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms, ${ratio.toFixed(2)}x${missed}`
  process.stdout.write(`${beside.padEnd(28)} ${figures}\n`)
  return ratio
}

const quietTenant = (server: Server, { seconds, rate }: { seconds: number; rate: number }): Promise<Seen> =>
  produceLoad({
    ...{ port: server.brokerPort, topic: 'persistent://quiet/ns/topic', connections: 1, producers: 1 },
    ...{ batch: 1, bytes: 1024, window: 1000, rate, warmUpSeconds: WARM_UP_SECONDS, seconds, keys: 0 }
  })

/** What `measure` sees while these neighbours are at work. */
async function beside<T>(noises: readonly Noise[], ports: Ports, measure: () => Promise<T>): Promise<T> {
  const children: ChildProcess[] = []
  try {
    for (const noise of noises) {
      const child = fork(join(ROOT, 'test', 'bench', 'neighbours.mjs'), ['--noise', noise, JSON.stringify(ports)])
      children.push(child)
      setPriority(child.pid ?? 0, NICE)
      const failed = once(child, 'exit').then(([code]) => {
        throw new Error(`the neighbour '${noise}' ended with ${code}`)
      })
      failed.catch(() => undefined)
      await Promise.race([once(child, 'message'), failed])
    }
    return await measure()
  } finally {
    for (const child of children) {
      const ended = child.exitCode === null ? once(child, 'exit') : undefined
      child.kill('SIGKILL')
      await ended
    }
  }
}

/** Entry of a neighbour's process: says 'ready', and goes on until it is killed. */
export async function noise(name: string, ports: Ports): Promise<never> {
  const ready = (): unknown => process.send?.('ready')
  if (name === 'flood') {
    ready()
    await flood(ports.brokerPort)
  } else if (name === 'consumers') await holdConsumers(ports, ready)
  else if (name === 'admin') {
    ready()
    await loopAdmin(ports.webPort)
  }
  throw new Error(`no such neighbour, or it ended: ${name}`)
}

async function flood(port: number): Promise<void> {
  const options = {
    connections: 4,
    producers: 1,
    batch: 1,
    bytes: 1024,
    window: 5000,
    rate: 0,
    warmUpSeconds: 0,
    keys: 0
  }
  await produceLoad({ ...options, port, topic: 'persistent://flood/ns/topic', seconds: 86_400 })
}

/** Shared subscriptions of a few topics to which nobody publishes: what they cost is being there. */
async function holdConsumers({ brokerPort, consumers }: Ports, ready: () => void): Promise<void> {
  const opened: ConsumeLoad[] = []
  for (let left = consumers; left > 0; left -= SUBSCRIBING * CONSUMER_TOPICS) {
    const some = await Promise.all(
      Array.from({ length: CONSUMER_TOPICS }, (_, i) =>
        ConsumeLoad.open({
          ...{ port: brokerPort, topic: `persistent://consumers/ns/topic-${i}`, subscription: 'many', type: 'Shared' },
          ...{ consumers: Math.min(SUBSCRIBING, Math.ceil(left / CONSUMER_TOPICS)), permits: 1000, earliest: false }
        })
      )
    )
    opened.push(...some)
    if (opened.length === some.length) ready()
  }
  for (const load of opened) load.start(1000)
  await delay(86_400_000)
}

async function loopAdmin(webPort: number): Promise<void> {
  const paths = [
    'persistent/admin/ns/topic-1/stats',
    'persistent/admin/ns',
    'namespaces/admin',
    'namespaces/admin/ns',
    'tenants'
  ]
  const lane = async (): Promise<void> => {
    for (let i = 0; ; i++) {
      const answer = await fetch(`http://127.0.0.1:${webPort}/admin/v2/${paths[i % paths.length]}`)
      await answer.arrayBuffer()
    }
  }
  await Promise.all(Array.from({ length: ADMIN_LANES }, lane))
}

/** Taken of the neighbour that floods, so far. */
async function floodedMessages(webPort: number): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${webPort}/admin/v2/persistent/flood/ns/topic/stats`)
  return answer.ok ? ((await answer.json()) as { msgInCounter: number }).msgInCounter : 0
}

async function makeTenants(webPort: number): Promise<void> {
  const put = async (path: string, body: unknown): Promise<void> => {
    const headers = { 'content-type': 'application/json' }
    const url = `http://127.0.0.1:${webPort}/admin/v2/${path}`
    const answer = await fetch(url, { method: 'PUT', headers, body: JSON.stringify(body) })
    if (!answer.ok) throw new Error(`PUT ${path}: ${answer.status} ${await answer.text()}`)
  }
  const clusters = await fetch(`http://127.0.0.1:${webPort}/admin/v2/clusters`)
  const allowedClusters = ((await clusters.json()) as string[]).filter(name => name !== 'global')
  for (const tenant of ['quiet', ...NOISES]) {
    await put(`tenants/${tenant}`, { adminRoles: [], allowedClusters })
    await put(`namespaces/${tenant}/ns`, {})
  }
  for (let i = 0; i < 100; i++) await put(`persistent/admin/ns/topic-${i}`, {})
}
