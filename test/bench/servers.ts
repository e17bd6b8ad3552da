import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { createServer, connect } from 'node:net'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { startCluster } from '../support/cluster-process.ts'
import { startStrata } from '../support/strata-process.ts'
import { ROOT } from '../tidy/repository.ts'
import { usageOf, type Usage } from './processes.ts'
import { startPulsarCluster } from './pulsar-cluster.ts'

export const PULSAR = join(ROOT, 'test', 'peers', 'pulsar')

/** `-cluster`: three storage nodes, a metadata store and a broker, E=3 Qw=3 Qa=2; `-small`: with the smallest heaps that do. */
export type ServerName =
  'strata' | 'pulsar' | 'pulsar-lite' | 'strata-cluster' | 'pulsar-cluster' | 'pulsar-cluster-small'

export interface Server extends Usage {
  readonly name: ServerName
  readonly brokerPort: number
  readonly webPort: number
  /** From the start of the process until its health check passed, ms. */
  readonly readyMs: number
  stop(): Promise<void>
}

export async function startServer(name: ServerName, data: string, set: Record<string, string> = {}): Promise<Server> {
  const startedAt = performance.now()
  const of = (started: Omit<Started, 'startedAt'>): Server => serverOf(name, { ...started, startedAt })
  switch (name) {
    case 'strata': {
      const strata = await startStrata({ data, set })
      const { brokerPort, webPort } = strata
      const stop = async (): Promise<void> => {
        await strata.stop()
      }
      return of({ pids: () => [strata.pid], brokerPort, webPort, stop })
    }
    case 'strata-cluster':
      return of(await startStrataCluster(data, set))
    case 'pulsar-cluster':
      return of(await startPulsarCluster({ script: PULSAR, data, memory: DEFAULT_HEAPS }))
    case 'pulsar-cluster-small':
      return of(await startPulsarCluster({ script: PULSAR, data, memory: SMALL_HEAPS }))
    case 'pulsar':
    case 'pulsar-lite':
      return of(await startAlone(name, data, set))
  }
}

async function startAlone(
  name: 'pulsar' | 'pulsar-lite',
  data: string,
  set: Record<string, string>
): Promise<Omit<Started, 'startedAt'>> {
  const [brokerPort, webPort] = [await freePort(), await freePort()]
  const child = name === 'pulsar' ? startPulsar(data, brokerPort, webPort, set) : startLite(data, brokerPort)
  const kill = (): void => {
    process.kill(-(child.pid as number), 'SIGKILL')
  }
  // a run that is ended early must not leave a server behind
  process.once('exit', kill)
  child.once('exit', () => process.off('exit', kill))
  if (name === 'pulsar') await healthy(webPort, 120_000)
  else await listening(brokerPort, 30_000)
  const stop = async (): Promise<void> => {
    const exited = once(child, 'exit')
    kill()
    await exited
  }
  return { pids: () => [child.pid as number], brokerPort, webPort, stop }
}

function startPulsar(data: string, brokerPort: number, webPort: number, set: Record<string, string>): ChildProcess {
  const pairs = Object.entries({ brokerServicePort: `${brokerPort}`, webServicePort: `${webPort}`, ...set })
  const args = ['run', data, ...pairs.map(([key, value]) => `${key}=${value}`)]
  return spawn(PULSAR, args, { stdio: 'ignore', detached: true })
}

function startLite(data: string, brokerPort: number): ChildProcess {
  const venv = join(process.env['STRATA_PEERS_CACHE'] ?? join(homedir(), '.cache', 'strata-peers'), 'pulsar-lite')
  if (!existsSync(venv)) {
    spawnSync('python3', ['-m', 'venv', venv], { stdio: 'inherit' })
    spawnSync(join(venv, 'bin', 'pip'), ['-q', 'install', 'pulsar-lite==0.2.0'], { stdio: 'inherit' })
  }
  const lib = join(venv, 'lib')
  const python = readdirSync(lib)[0] as string
  const binary = join(lib, python, 'site-packages', 'pulsar_lite', 'bin', 'pulsar-lite')
  return spawn(binary, ['--db-path', join(data, 'lite.db'), '--addr', `127.0.0.1:${brokerPort}`], {
    stdio: 'ignore',
    detached: true
  })
}

interface Started {
  readonly pids: () => readonly number[]
  readonly brokerPort: number
  readonly webPort: number
  readonly startedAt: number
  readonly stop: () => Promise<void>
}

function serverOf(name: ServerName, { pids, startedAt, ...started }: Started): Server {
  return { name, ...started, ...usageOf(pids), readyMs: performance.now() - startedAt }
}

/** Etcd syncs as it does in a cluster that means it. */
async function startStrataCluster(data: string, set: Record<string, string>): Promise<Omit<Started, 'startedAt'>> {
  const scripts = join(ROOT, 'test', 'peers')
  const cluster = await startCluster({ scripts, data, set, etcdArguments: ['--unsafe-no-fsync=false'] })
  const { brokerUrl, webUrl } = cluster.broker.ready
  return {
    pids: () => cluster.pids(),
    brokerPort: Number(new URL(brokerUrl).port),
    webPort: Number(new URL(webUrl).port),
    stop: () => cluster.stop()
  }
}

const DEFAULT_HEAPS = { zookeeper: '', bookie: '', broker: '' }
/** To be chosen so that the rates are those of the default heaps. */
const SMALL_HEAPS = {
  zookeeper: process.env['STRATA_TEST_BENCH_ZOOKEEPER_MEM'] ?? '-Xms64m -Xmx64m -XX:MaxDirectMemorySize=64m',
  bookie: process.env['STRATA_TEST_BENCH_BOOKIE_MEM'] ?? '-Xms384m -Xmx384m -XX:MaxDirectMemorySize=512m',
  broker: process.env['STRATA_TEST_BENCH_BROKER_MEM'] ?? '-Xms512m -Xmx512m -XX:MaxDirectMemorySize=512m'
}

export async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

async function healthy(webPort: number, timeoutMs: number): Promise<void> {
  await poll(timeoutMs, async () => (await fetch(`http://127.0.0.1:${webPort}/admin/v2/brokers/health`)).ok)
}

async function listening(port: number, timeoutMs: number): Promise<void> {
  await poll(timeoutMs, async () => {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    socket.destroy()
    return true
  })
}

async function poll(timeoutMs: number, check: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const done = await check().catch(() => false)
    if (done) return
    if (performance.now() > deadline) throw new Error('the server did not become ready')
    await delay(100)
  }
}
