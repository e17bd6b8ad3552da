// Peers run as child processes of the test that wants them: on ports of their own, in a directory of their own, gone when stopped.
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const POLL_MS = 100
const STOP_TIMEOUT_MS = 20_000

/** A running child process with what it needs to be told apart from others and cleaned up. */
export interface PeerProcess {
  readonly child: ChildProcess
  /** Holds its data and its log; removed by `stop`. */
  readonly directory: string
  /** The last lines that it wrote to stdout and stderr. */
  log(): Promise<string>
  /** Ends the process and everything it started, waits for it, and removes its directory. Idempotent. */
  stop(): Promise<void>
}

/** Where peers and foreign clients are kept between runs. */
export function peersCache(): string {
  return process.env.STRATA_PEERS_CACHE ?? join(homedir(), '.cache', 'strata-peers')
}

/** Ports that were free a moment ago, all different: held together while they are chosen. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map(server => once(server, 'listening')))
  const ports = servers.map(server => (server.address() as AddressInfo).port)
  await Promise.all(servers.map(server => once(server.close(), 'close')))
  return ports
}

/** A fresh directory for one peer's data. */
export function peerDirectory(name: string): Promise<string> {
  return mkdtemp(join(tmpdir(), `strata-${name}-`))
}

/**
 * Starts a peer in a process group of its own, its output in `directory`/output.log.
 * @param options.environment  Added to this process's own.
 */
export async function startPeer(
  command: readonly [string, ...string[]],
  options: { directory: string; environment?: Readonly<Record<string, string>> }
): Promise<PeerProcess> {
  const { directory } = options
  await mkdir(directory, { recursive: true })
  const path = join(directory, 'output.log')
  const log = createWriteStream(path, { flags: 'a' })
  await once(log, 'open')
  const [file, ...rest] = command
  const child = spawn(file, rest, {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.environment }
  })
  child.stdout.pipe(log, { end: false })
  child.stderr.pipe(log, { end: false })
  // a test run that ends early must not leave servers behind
  const orphaned = (): void => signalGroup(child, 'SIGKILL')
  process.once('exit', orphaned)
  const stop = async (): Promise<void> => {
    process.off('exit', orphaned)
    await endChild(child)
    log.end()
    await rm(directory, { recursive: true, force: true })
  }
  return {
    child,
    directory,
    log: async () => (await readFile(path, 'utf8').catch(() => '')).split('\n').slice(-30).join('\n'),
    stop
  }
}

/** Polls `isReady` until it answers true; fails at once when the process ends, or after `timeoutMs`. */
export async function waitReady(
  peer: PeerProcess,
  isReady: () => Promise<boolean>,
  options: { timeoutMs: number }
): Promise<void> {
  const end = Date.now() + options.timeoutMs
  for (;;) {
    if (peer.child.exitCode !== null || peer.child.signalCode !== null) {
      const log = await peer.log()
      await peer.stop()
      throw new Error(`the peer ended before it was ready:\n${log}`)
    }
    if (await isReady().catch(() => false)) return
    if (Date.now() > end) {
      const log = await peer.log()
      await peer.stop()
      throw new Error(`the peer was not ready in ${options.timeoutMs} ms:\n${log}`)
    }
    await delay(POLL_MS)
  }
}

/** Asks the process group of `child` to end, and after a while makes it. Waits until the child is gone. */
export async function endChild(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  const gone = once(child, 'exit')
  signalGroup(child, 'SIGTERM')
  const limit = new AbortController()
  const insist = delay(STOP_TIMEOUT_MS, undefined, { signal: limit.signal }).then(
    () => signalGroup(child, 'SIGKILL'),
    () => undefined
  )
  await gone
  limit.abort()
  await insist
  signalGroup(child, 'SIGKILL')
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, signal)
  } catch {
    // the group is gone already
  }
}
