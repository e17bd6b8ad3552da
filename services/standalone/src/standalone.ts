import { randomUUID } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { bookieId, systemClock, type BookieId, type Logger } from '@strata/base'
import { bookieDirectories, CLUSTER_ID_KEY, lockDirectory, openBookie, type Bookie } from '@strata/bookie'
import { openServing, probeBrokerPorts } from '@strata/broker'
import { BookieRacks, placedAs, type BookieDescription, type BookieDirectory } from '@strata/ledger-client'
import { LevelMetadataStore, updateRecord, type MetadataStore } from '@strata/metadata'
import { dataError } from './errors.ts'
import type { StandaloneSettings } from './settings.ts'

export interface StandaloneOptions {
  /** Everything is kept below it; made if it is not there. */
  readonly data: string
  readonly settings: StandaloneSettings
  readonly logger: Logger
}

export interface Standalone {
  readonly brokerUrl: string
  readonly webUrl: string
  /** Undefined: not listened on. */
  readonly brokerUrlTls: string | undefined
  readonly webUrlTls: string | undefined
  /** Absolute. */
  readonly data: string
  /** Drains, persists, closes; within `brokerShutdownTimeoutMs`. Idempotent. */
  close(): Promise<void>
}

const MIB = 1024 * 1024
/** As a storage node does: so much less than the room at which adds are refused that what it gives back is not taken for room. */
const RESERVE_RATIO = 1 / 8
const ONE_COPY = { ensembleSize: 1, writeQuorum: 1, ackQuorum: 1 }

/**
 * Metadata, one bookie and one broker in this process, in a cluster's own formats.
 *
 * Opens from the bottom up and closes from the top down; a failure on the way up closes what was open.
 * @throws CodedError with one line for the person who starts it: a taken port, a directory that cannot be used.
 */
export async function openStandalone(options: StandaloneOptions): Promise<Standalone> {
  const data = resolve(options.data)
  const opened: (() => Promise<void>)[] = []
  const closeAll = async (): Promise<void> => {
    for (const close of opened.splice(0).reverse()) await close()
  }
  try {
    const { settings, logger } = options
    await probeBrokerPorts(settings)
    const { metadata, bookie } = await openStorage(data, options, opened)
    const racks = await BookieRacks.open({ metadata, logger, onChange: () => undefined })
    opened.push(() => {
      racks.close()
      return Promise.resolve()
    })
    const serving = await openServing({
      ...{ settings, metadata, logger, directory: onlyNode(bookie, racks), quorum: ONE_COPY, clock: systemClock },
      // one node: there is nothing to choose
      random: () => 0,
      storageTroubles: () => troublesOf(bookie)
    })
    opened.push(() => serving.close())
    let closing: Promise<void> | undefined
    return {
      brokerUrl: serving.brokerUrl,
      webUrl: serving.webUrl,
      brokerUrlTls: serving.brokerUrlTls,
      webUrlTls: serving.webUrlTls,
      data,
      close() {
        closing ??= closeAll()
        return closing
      }
    }
  } catch (error) {
    await closeAll()
    throw error
  }
}

async function openStorage(
  data: string,
  { settings, logger }: StandaloneOptions,
  opened: (() => Promise<void>)[]
): Promise<{ metadata: MetadataStore; bookie: Bookie }> {
  try {
    await mkdir(data, { recursive: true })
    opened.push(await lockDirectory(data))
    const metadata = await LevelMetadataStore.open({ directory: join(data, 'metadata') })
    opened.push(() => metadata.close())
    const reserve = settings.strataDiskReserveMB * MIB
    const bookie = await openBookie({
      directories: bookieDirectories(join(data, 'bookie')),
      bookieId: await ownBookieId(metadata),
      clusterId: await clusterIdOf(metadata),
      metadata,
      logger: logger.child({ service: 'bookie' }),
      clock: systemClock,
      settings: {
        journalFileBytes: settings.journalMaxSizeMB * MIB,
        journalBytesMax: settings.strataJournalTotalMB * MIB,
        journalGroupWaitMs: settings.journalMaxGroupWaitMSec,
        readOnlyBelowBytes: reserve,
        reserveBytes: reserve * RESERVE_RATIO,
        startFreeBytesMin: reserve
      }
    })
    opened.push(() => bookie.close())
    return { metadata, bookie }
  } catch (error) {
    throw dataError(error, data)
  }
}

function troublesOf(bookie: Bookie): readonly string[] {
  const { state, reasons } = bookie.health()
  if (state === 'writable') return []
  return reasons.length > 0 ? reasons : [`the bookie is ${state}`]
}

function onlyNode(bookie: Bookie, racks: BookieRacks): BookieDirectory {
  const { bookieId } = bookie
  return {
    writable: () =>
      bookie.health().state === 'writable' ? [placedAs<BookieDescription>({ bookieId }, racks.of(bookieId))] : [],
    node: id => (id === bookie.bookieId ? bookie : undefined),
    onChange: () => () => undefined // the one node is asked anew each time
  }
}

/** Random, so that two standalones that join one cluster later are two nodes. */
async function ownBookieId(metadata: MetadataStore): Promise<BookieId> {
  return bookieId(await ownName(metadata, 'standalone/bookie-id'))
}

/** A new store gets a random id, which the node writes; a store that lost it does not fit the node's volume any more. */
async function clusterIdOf(metadata: MetadataStore): Promise<string> {
  const record = await metadata.get(CLUSTER_ID_KEY)
  return record === undefined ? randomUUID() : Buffer.from(record.value).toString()
}

/** A random name, chosen once and kept. */
async function ownName(metadata: MetadataStore, key: string): Promise<string> {
  const record = await updateRecord(metadata, key, current =>
    current === undefined ? { put: Buffer.from(randomUUID()) } : undefined
  )
  if (record === undefined) throw new Error(`${key} was not written`)
  return Buffer.from(record.value).toString()
}
