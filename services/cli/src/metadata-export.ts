import { bookieId, createLogger, NO_ENTRY, systemClock, type BookieId } from '@strata/base'
import { declarationKey, encodeDeclaration, readClusterId } from '@strata/bookie/server'
import { decodeLedger, encodeLedger, LEDGERS_PREFIX, type LedgerRecord } from '@strata/ledger-client'
import {
  LevelMetadataStore,
  MetadataError,
  readStoreHold,
  type ArchivableStore,
  type MetadataRecord,
  type MetadataStore
} from '@strata/metadata'
import { endFilling, fillStore } from '@strata/metadata/backup'
import { metadataFailure } from './bookie-run.ts'
import { CommandFailure, usageFailure } from './failure.ts'
import { notEmpty, withStore } from './metadata-archive.ts'
import { openMetadataStore, parseMetadataUrl } from './metadata-door.ts'
import { note, printJson, printLine, startProgress } from './output.ts'
import { closeLedgers, lockStandalone, standaloneOf, type StandaloneStorage } from './standalone-ledgers.ts'

export interface ExportFlags {
  readonly from: string
  readonly to: string
  readonly toConfig?: string
  readonly copies: number
  readonly json?: boolean
}

interface Exported {
  readonly clusterId: string
  readonly records: number
  /** Ledgers that the metadata now wants more copies of. */
  readonly widened: number
  /** Ledgers that had been left open. */
  readonly closed: number
}

/**
 * Moves a standalone's metadata to etcd, offline: every epoch, version and id goes on where it was; the directory is sealed, and
 * opens never again. Old ledgers are written down as having `copies` members, of which all but one are declared destroyed: the
 * nodes' care for copies makes them. Broken off, it goes on when it is run again.
 */
export async function exportMetadata(flags: ExportFlags): Promise<void> {
  const from = parseMetadataUrl(flags.from)
  if (from.kind !== 'level') throw usageFailure(`--from ${flags.from}: write it as level:directory`)
  if (parseMetadataUrl(flags.to).kind !== 'etcd')
    throw usageFailure(`--to ${flags.to}: write it as etcd:http://host:2379`)
  const storage = standaloneOf(from.directory)
  const unlock = storage === undefined ? undefined : await lockStandalone(storage)
  try {
    const source = await openSource(flags)
    if (source === 'sealed') {
      await finish(flags)
      return
    }
    try {
      const target = { metadata: flags.to, ...(flags.toConfig === undefined ? {} : { metadataConfig: flags.toConfig }) }
      const exported = await withStore(target, { mustExist: false }, store => move(source, store, { flags, storage }))
      await tell(exported, { flags, storage })
    } finally {
      await source.close()
    }
  } finally {
    await unlock?.()
  }
}

/** 'sealed': by an export to the same place, which may not have come to its end. */
async function openSource({ from, to }: ExportFlags): Promise<LevelMetadataStore | 'sealed'> {
  try {
    const logger = createLogger({ level: 'error' })
    const store = await openMetadataStore(from, { configPath: '', logger, mustExist: true })
    if (!(store instanceof LevelMetadataStore)) throw new CommandFailure(`${from} is no directory of a standalone`)
    return store
  } catch (error) {
    if (MetadataError.is(error, 'STORE_SEALED') && error.details['movedTo'] === to) return 'sealed'
    throw metadataFailure(error, from)
  }
}

const reasonOfMove = (clusterId: string): string => `the metadata of cluster ${clusterId} is being moved here`

async function move(
  source: LevelMetadataStore,
  target: ArchivableStore,
  { flags, storage }: { flags: ExportFlags; storage: StandaloneStorage | undefined }
): Promise<Exported> {
  const clusterId = await readClusterId(source)
  if (clusterId === undefined) throw new CommandFailure(`there is no cluster at ${flags.from}: nothing to export`)
  const closed = storage === undefined ? 0 : await closeLedgers(source, storage)
  const snapshot = await source.snapshot()
  const widening = new Widening(flags.copies)
  const clusterName = await soleClusterName(source)
  async function* records(): AsyncGenerator<MetadataRecord> {
    for await (const { isLeased, ...record } of snapshot.records()) if (!isLeased) yield widening.record(record)
    yield* widening.declarations()
    if (clusterName !== undefined) yield clusterName
  }
  let copied = 0
  const progress = startProgress(() => `${copied} records copied`, flags.json !== true)
  try {
    const count = await fillStore(target, {
      ...{ records: records(), floor: snapshot.revision, reason: reasonOfMove(clusterId), clock: systemClock },
      unchecked: undefined,
      onFilled: filled => (copied = filled),
      beforeEnd: async filled => {
        await compare(target, filled)
        await source.seal(flags.to)
      }
    })
    return { clusterId, records: count, widened: widening.count, closed }
  } catch (error) {
    throw MetadataError.is(error, 'STORE_NOT_EMPTY') ? notEmpty(error, flags.to) : error
  } finally {
    progress.stop()
  }
}

/** Everything that was put there is there, and nothing else but what holds it. */
async function compare(target: ArchivableStore, count: number): Promise<void> {
  let found = 0
  for await (const { key } of (await target.snapshot()).records()) if (key !== 'metadata-hold') found += 1
  if (found !== count) throw new CommandFailure(`${found} records arrived of ${count}: empty that store and try again`)
}

/** What brokers of the cluster are to call it. */
async function soleClusterName(source: MetadataStore): Promise<MetadataRecord | undefined> {
  if ((await source.get('cluster-name')) !== undefined) return undefined
  const { records } = await source.scan({ prefix: 'clusters/', keysOnly: true })
  const name = records.length === 1 ? records[0]?.key.slice('clusters/'.length) : undefined
  return name === undefined ? undefined : { key: 'cluster-name', value: Buffer.from(name), version: 0 }
}

/** The other half of an export that was broken off after the directory was sealed. */
async function finish(flags: ExportFlags): Promise<void> {
  const target = { metadata: flags.to, ...(flags.toConfig === undefined ? {} : { metadataConfig: flags.toConfig }) }
  const isDone = await withStore(target, { mustExist: false }, async store => {
    const clusterId = (await readClusterId(store)) ?? ''
    const hold = await readStoreHold(store)
    if (hold?.kind !== 'filling' || hold.reason !== reasonOfMove(clusterId)) return false
    await endFilling(store, { unchecked: undefined, clock: systemClock })
    return true
  })
  if (!isDone) throw new CommandFailure(`${flags.from} was moved to ${flags.to} before: there is nothing left to do`)
  if (flags.json === true) await printJson({ finished: true, to: flags.to })
  else await printLine(`the export to ${flags.to} is complete`)
}

/** Ledgers with one copy become ledgers with several, of which one is there. Pure. */
export class Widening {
  readonly #copies: number
  count = 0

  constructor(copies: number) {
    this.#copies = copies
  }

  record(record: MetadataRecord): MetadataRecord {
    if (this.#copies === 1 || !record.key.startsWith(LEDGERS_PREFIX)) return record
    const ledger = decodeLedger(record.value)
    if (ledger.state !== 'closed' || ledger.quorum.ensembleSize !== 1) return record
    if (ledger.end?.lastEntryId === NO_ENTRY) return record // nothing to copy: its absent members would stay for ever
    this.count += 1
    return { ...record, value: encodeLedger(this.#widened(ledger)) }
  }

  /** Nodes that never were: the care for copies puts others in their places at once. */
  *declarations(): Generator<MetadataRecord> {
    if (this.count === 0) return
    for (const id of this.#absent()) {
      const value = encodeDeclaration({
        ...{ kind: 'destroyed', declaredAtMs: systemClock.wallMs() },
        completedAtMs: undefined
      })
      yield { key: declarationKey(id), value, version: 0 }
    }
  }

  #widened(ledger: LedgerRecord): LedgerRecord {
    const copies = this.#copies
    const quorum = { ensembleSize: copies, writeQuorum: copies, ackQuorum: Math.floor(copies / 2) + 1 }
    const ensembles = ledger.ensembles.map(ensemble => ({
      ...ensemble,
      bookies: [...ensemble.bookies, ...this.#absent()]
    }))
    return { ...ledger, quorum, ensembles }
  }

  #absent(): BookieId[] {
    return Array.from({ length: this.#copies - 1 }, (_, i) => bookieId(`copy-to-be-made-${i + 2}`))
  }
}

async function tell(
  { clusterId, records, widened, closed }: Exported,
  { flags, storage }: { flags: ExportFlags; storage: StandaloneStorage | undefined }
): Promise<void> {
  const directories =
    storage === undefined
      ? undefined
      : {
          journalDirectories: `${storage.bookieRoot}/journal`,
          ledgerDirectories: `${storage.bookieRoot}/entry-logs`,
          indexDirectories: `${storage.bookieRoot}/index`
        }
  if (flags.json === true) {
    await printJson({ clusterId, from: flags.from, to: flags.to, records, closed, widened, ...directories })
    return
  }
  await printLine(`${records} records are at ${flags.to}; ${flags.from} is sealed and opens no more`)
  if (closed > 0) await printLine(`${closed} ledgers had been left open and are closed`)
  if (widened > 0) await printLine(`${widened} ledgers are to have ${flags.copies} copies: storage nodes make them`)
  if (directories === undefined) return
  const sets = Object.entries({ metadataStoreUrl: flags.to, ...directories }).map(
    ([key, value]) => `--set ${key}=${value}`
  )
  note(`start its storage as a node of the cluster, and others beside it:\n  strata bookie ${sets.join(' ')}`)
}
