import { strict as assert } from 'node:assert'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { bookieId, silentLogger, systemClock, type BookieId } from '@strata/base'
import { GrpcBookieNode, type NodeSecurity } from '@strata/ledger-client/grpc'
import { STRATA } from './strata-process.ts'

export interface BookieOptions {
  /** Journal, entry logs and index are below it. */
  readonly data: string
  readonly metadataUrl: string
  readonly set?: Readonly<Record<string, string | number | boolean>>
}

/** A real `strata bookie` on free ports of the loopback. */
export interface BookieProcess {
  readonly pid: number
  readonly bookieId: BookieId
  readonly clusterId: string
  readonly address: string
  readonly httpUrl: string
  /** What it wrote to standard error so far. */
  log(): string
  /** A connection to it that trusts nobody's registry. */
  node(options?: { clusterId?: string; nodeId?: string; security?: NodeSecurity }): GrpcBookieNode
  signal(name: 'SIGSTOP' | 'SIGCONT'): void
  /** Ctrl-C, and wait. Resolves with the exit code. */
  stop(): Promise<number | null>
  /** kill -9, and wait. */
  kill(): Promise<void>
}

interface Ready {
  readonly event: string
  readonly pid: number
  readonly bookieId: string
  readonly clusterId: string
  readonly address: string
  readonly httpUrl: string
}

export function bookieArguments({ data, metadataUrl, set }: BookieOptions): string[] {
  const settings = {
    metadataStoreUrl: metadataUrl,
    journalDirectories: join(data, 'journal'),
    ledgerDirectories: join(data, 'ledgers'),
    bookiePort: 0,
    httpServerPort: 0,
    strataDiskReserveMB: 16,
    ...set
  }
  return ['bookie', '--json', ...Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`])]
}

/** Ready when this resolves; rejects with its log if it ends before. */
export async function startBookie(options: BookieOptions): Promise<BookieProcess> {
  const child = spawn(process.execPath, [STRATA, ...bookieArguments(options)], { stdio: ['ignore', 'pipe', 'pipe'] })
  let log = ''
  child.stderr.on('data', (chunk: Buffer) => {
    log = (log + chunk.toString()).slice(-200_000)
  })
  const exited = once(child, 'exit')
  const ready = await new Promise<Ready>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', code => reject(new Error(`strata bookie ended with ${code} before it was ready:\n${log}`)))
    createInterface({ input: child.stdout }).on('line', line => {
      const event = JSON.parse(line) as Ready
      if (event.event === 'ready') resolve(event)
    })
  })
  assert.equal(ready.pid, child.pid)
  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    if (child.exitCode === null && child.signalCode === null) process.kill(ready.pid, signal)
    await exited
    return child.exitCode
  }
  return {
    ...ready,
    bookieId: bookieId(ready.bookieId),
    log: () => log,
    node: ({ clusterId = ready.clusterId, nodeId = ready.bookieId, security } = {}) =>
      new GrpcBookieNode({
        ...{ bookieId: bookieId(nodeId), clusterId, address: ready.address },
        ...{ clock: systemClock, logger: silentLogger, timeoutMs: 20_000 },
        ...(security === undefined ? {} : { security })
      }),
    signal: name => process.kill(ready.pid, name),
    stop: () => end('SIGINT'),
    kill: async () => {
      await end('SIGKILL')
    }
  }
}
