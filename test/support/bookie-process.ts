import { join } from 'node:path'
import { bookieId, silentLogger, systemClock, type BookieId } from '@strata/base'
import { GrpcBookieNode, type NodeSecurity } from '@strata/ledger-client/grpc'
import { settingFlags, startServerProcess } from './server-process.ts'

export interface BookieOptions {
  /** Journal, entry logs and index are below it. */
  readonly data: string
  readonly metadataUrl: string
  readonly set?: Readonly<Record<string, string | number | boolean>>
  /** Before its command, e.g. ['ip', 'netns', 'exec', …]. */
  readonly wrap?: readonly string[]
  readonly nodeArguments?: readonly string[]
  /** The program to run, in place of what was built here. */
  readonly strata?: string
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
  return ['bookie', '--json', ...settingFlags(settings)]
}

/** Ready when this resolves; rejects with its log if it ends before. */
export async function startBookie(options: BookieOptions): Promise<BookieProcess> {
  const { wrap = [], nodeArguments = [], strata } = options
  const how = { wrap, nodeArguments, ...(strata === undefined ? {} : { strata }) }
  const server = await startServerProcess<Ready>(bookieArguments(options), how)
  const { ready } = server
  return {
    ...ready,
    ...server,
    bookieId: bookieId(ready.bookieId),
    node: ({ clusterId = ready.clusterId, nodeId = ready.bookieId, security } = {}) =>
      new GrpcBookieNode({
        ...{ bookieId: bookieId(nodeId), clusterId, address: ready.address },
        ...{ clock: systemClock, logger: silentLogger, timeoutMs: 20_000 },
        ...(security === undefined ? {} : { security })
      })
  }
}
