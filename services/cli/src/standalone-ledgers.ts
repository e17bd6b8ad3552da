import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { bookieId, silentLogger, systemClock, type LedgerId } from '@strata/base'
import { bookieDirectories, bookieErrors, CLUSTER_ID_KEY, lockDirectory, openBookie } from '@strata/bookie'
import {
  createLedgerClient,
  decodeLedger,
  ledgerIdOfKey,
  LEDGERS_PREFIX,
  type BookieDirectory
} from '@strata/ledger-client'
import type { MetadataStore } from '@strata/metadata'
import { rowsBelow } from './cluster.ts'
import { CommandFailure } from './failure.ts'

/** Storage of a standalone, beside its metadata. */
export interface StandaloneStorage {
  /** Of the standalone. */
  readonly data: string
  readonly bookieRoot: string
}

const ONE_COPY = { ensembleSize: 1, writeQuorum: 1, ackQuorum: 1 }

/** undefined: the directory of metadata is not that of a standalone. */
export function standaloneOf(metadataDirectory: string): StandaloneStorage | undefined {
  const data = dirname(resolve(metadataDirectory))
  const bookieRoot = join(data, 'bookie')
  return existsSync(join(bookieRoot, 'journal')) ? { data, bookieRoot } : undefined
}

/** Keeps the standalone from being started. @throws CommandFailure: it runs */
export async function lockStandalone({ data }: StandaloneStorage): Promise<() => Promise<void>> {
  try {
    return await lockDirectory(data)
  } catch (error) {
    if (!bookieErrors.is(error, 'DIRECTORY_IN_USE')) throw error
    const line = `${data} is in use by process ${String(error.details['pid'])}: stop that standalone first`
    throw new CommandFailure(line, { cause: error })
  }
}

/**
 * Closes every ledger of a standalone that was not stopped in order, by what its storage has, so that all of them can be given
 * more copies. Returns how many it closed. @throws LedgerError RECOVERY_BLOCKED, …
 */
export async function closeLedgers(metadata: MetadataStore, { bookieRoot }: StandaloneStorage): Promise<number> {
  const open = await notClosed(metadata)
  if (open.length === 0) return 0
  const clusterId = (await metadata.get(CLUSTER_ID_KEY))?.value
  const ownId = (await metadata.get('standalone/bookie-id'))?.value
  if (clusterId === undefined || ownId === undefined) {
    throw new CommandFailure('the metadata does not name the storage beside it: is it that of a standalone?')
  }
  const bookie = await openBookie({
    ...{ directories: bookieDirectories(bookieRoot), metadata, logger: silentLogger, clock: systemClock },
    bookieId: bookieId(Buffer.from(ownId).toString()),
    clusterId: Buffer.from(clusterId).toString()
  })
  try {
    const directory: BookieDirectory = {
      writable: () => [{ bookieId: bookie.bookieId }],
      node: id => (id === bookie.bookieId ? bookie : undefined),
      onChange: () => () => undefined
    }
    const doors = { metadata, directory, clock: systemClock, logger: silentLogger }
    const ledgers = createLedgerClient({ ...doors, quorum: ONE_COPY, random: () => 0 })
    for (const id of open) await ledgers.recover(id)
  } finally {
    await bookie.close()
  }
  return open.length
}

async function notClosed(metadata: MetadataStore): Promise<LedgerId[]> {
  const found: LedgerId[] = []
  for await (const { key, value } of rowsBelow(metadata, LEDGERS_PREFIX)) {
    const id = ledgerIdOfKey(key)
    if (id !== undefined && decodeLedger(value).state !== 'closed') found.push(id)
  }
  return found
}
