import { createLogger, type LogLevel } from '@strata/base'
import { bookieServerErrors, bookieSettings, openBookieServer, type BookieServer } from '@strata/bookie/server'
import { FeatureGate, MetadataError } from '@strata/metadata'
import { bookkeeperKeys } from './bookkeeper-keys.ts'
import { CommandFailure } from './failure.ts'
import { collectInBackground } from './background-collection.ts'
import { collectWhenIdle } from './idle-collection.ts'
import { openMetadataStore } from './metadata-door.ts'
import { loadSettings } from './settings.ts'
import { stopRequest } from './stop-request.ts'
import { VERSION } from './version.ts'

export interface BookieFlags {
  readonly conf?: string
  readonly set: readonly string[]
  readonly lenient?: boolean
  readonly json?: boolean
}

/** One storage node, until Ctrl-C. */
export async function runBookie(flags: BookieFlags): Promise<void> {
  const { settings, warnings } = loadSettings(bookieSettings, {
    conf: flags.conf,
    env: process.env,
    set: flags.set,
    lenient: flags.lenient ?? false,
    foreign: bookkeeperKeys
  })
  const json = flags.json ?? false
  const logger = createLogger({ level: settings.strataLogLevel as LogLevel, ...(json ? { pretty: false } : {}) })
  for (const warning of warnings) logger.warn({ event: 'config.key_ignored', warning }, 'a setting was ignored')
  // listened for before it is told ready: who reads that line may stop it at once
  const stopped = stopRequest()
  const url = settings.metadataStoreUrl
  const configPath = settings.metadataStoreConfigPath
  let onReplaced: (reason: string) => void = () => undefined
  const replaced = new Promise<never>((_, reject) => {
    onReplaced = reason => {
      const advice = 'start this node anew, and it says whether it knows that store'
      reject(new CommandFailure(`the metadata store at ${url} is not the one it was (${reason}): ${advice}`))
    }
  })
  replaced.catch(() => undefined) // looked at when the node runs
  const metadata = await openMetadataStore(url, { configPath, logger, onReplaced }).catch((error: unknown) => {
    throw metadataFailure(error, url)
  })
  let gate: FeatureGate | undefined
  try {
    gate = await FeatureGate.open(metadata, { logger }).catch((error: unknown) => {
      throw metadataFailure(error, url)
    })
    const server = await openBookieServer({ settings, metadata, logger, softwareVersion: VERSION }).catch(
      (error: unknown) => {
        throw metadataFailure(error, url)
      }
    )
    collectWhenIdle()
    collectInBackground()
    print(server, json)
    try {
      await Promise.race([stopped, endOf(server), replaced])
    } finally {
      await server.close()
    }
  } finally {
    gate?.close()
    await metadata.close()
  }
}

async function endOf(server: BookieServer): Promise<void> {
  await server.superseded
  const error = bookieServerErrors.create('SUPERSEDED', { bookieId: server.bookieId })
  error.message = `node ${server.bookieId} runs in another process, on a newer copy of its disk: this one ends`
  throw error
}

/** One line that names the key, where it is the store that does not answer. */
export function metadataFailure(error: unknown, url: string): unknown {
  const advice = 'check metadataStoreUrl, and that the store runs'
  if (MetadataError.is(error, 'UNAVAILABLE')) {
    return new CommandFailure(`the metadata store at ${url} does not answer: ${advice}`, { cause: error })
  }
  if (MetadataError.is(error, 'STORE_LOCKED')) {
    const line = `${url} is open in another process: stop it, or use a store for several processes (etcd)`
    return new CommandFailure(line, { cause: error })
  }
  if (MetadataError.is(error, 'STORE_SEALED')) {
    const moved = String(error.details['movedTo'])
    return new CommandFailure(`${url} was moved to ${moved} and opens no more: use that`, { cause: error })
  }
  if (MetadataError.is(error, 'LEVEL_UNKNOWN')) {
    const line = `the cluster writes formats of level ${String(error.details['level'])}, and this release knows up to ${String(error.details['max'])}`
    return new CommandFailure(`${line}: start a newer release`, { cause: error })
  }
  return error
}

function print({ bookieId, clusterId, address, port, httpUrl }: BookieServer, json: boolean): void {
  if (json) {
    const ready = { event: 'ready', pid: process.pid, bookieId, clusterId, address, port, httpUrl: httpUrl ?? null }
    process.stdout.write(`${JSON.stringify(ready)}\n`)
    return
  }
  const lines = [
    'The storage node is ready.',
    `  node        ${bookieId}`,
    `  cluster     ${clusterId}`,
    `  brokers     ${address}`,
    ...(httpUrl === undefined ? [] : [`  operators   ${httpUrl}/api/v1/bookie/state   (metrics: ${httpUrl}/metrics)`]),
    '  stop        Ctrl-C (twice: at once)'
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
}
