import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createServer, connect } from 'node:net'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { startStrata } from '../support/strata-process.ts'
import { ROOT } from '../tidy/repository.ts'

export const PULSAR = join(ROOT, 'test', 'peers', 'pulsar')

export type ServerName = 'strata' | 'pulsar' | 'pulsar-lite'

export interface Server {
  readonly name: ServerName
  readonly brokerPort: number
  readonly webPort: number
  /** From the start of the process until its health check passed, ms. */
  readonly readyMs: number
  /** User and system time of all of its processes so far, seconds. */
  cpuSeconds(): number
  residentBytes(): number
  stop(): Promise<void>
}

export async function startServer(name: ServerName, data: string, set: Record<string, string> = {}): Promise<Server> {
  const startedAt = performance.now()
  if (name === 'strata') {
    const strata = await startStrata({ data, set })
    const stop = async (): Promise<void> => {
      await strata.stop()
    }
    return serverOf(name, strata.pid, strata.brokerPort, strata.webPort, performance.now() - startedAt, stop)
  }
  const [brokerPort, webPort] = [await freePort(), await freePort()]
  const child = name === 'pulsar' ? startPulsar(data, brokerPort, webPort, set) : startLite(data, brokerPort)
  if (name === 'pulsar') await healthy(webPort, 120_000)
  else await listening(brokerPort, 30_000)
  const stop = async (): Promise<void> => {
    const exited = once(child, 'exit')
    process.kill(-(child.pid as number), 'SIGKILL')
    await exited
  }
  return serverOf(name, child.pid as number, brokerPort, webPort, performance.now() - startedAt, stop)
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

function serverOf(
  name: ServerName,
  pid: number,
  brokerPort: number,
  webPort: number,
  readyMs: number,
  stop: () => Promise<void>
): Server {
  const processes = (): number[] => treeOf(pid)
  return {
    name,
    brokerPort,
    webPort,
    readyMs,
    stop,
    cpuSeconds: () => processes().reduce((sum, id) => sum + cpuOf(id), 0),
    residentBytes: () => processes().reduce((sum, id) => sum + residentOf(id), 0)
  }
}

/** A process and its descendants: a start script is not the server. */
function treeOf(root: number): number[] {
  const parents = new Map<number, number>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const stat = readProc(`/proc/${name}/stat`)
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
    parents.set(Number(name), parent)
  }
  const tree = new Set([root])
  for (let grew = true; grew;) {
    grew = false
    for (const [id, parent] of parents) {
      if (!tree.has(parent) || tree.has(id)) continue
      tree.add(id)
      grew = true
    }
  }
  return [...tree]
}

const TICKS_PER_SECOND = 100

function cpuOf(pid: number): number {
  const stat = readProc(`/proc/${pid}/stat`)
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / TICKS_PER_SECOND
}

function residentOf(pid: number): number {
  const match = /VmRSS:\s+(\d+) kB/.exec(readProc(`/proc/${pid}/status`))
  return match === null ? 0 : Number(match[1]) * 1024
}

function readProc(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
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
