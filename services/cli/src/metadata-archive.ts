import { existsSync } from 'node:fs'
import { createLogger, ledgerId, systemClock } from '@strata/base'
import { readClusterId } from '@strata/bookie/server'
import { raiseLedgerIds } from '@strata/ledger-client'
import { isArchivable, MetadataError, type ArchivableStore } from '@strata/metadata'
import { restoreBackup, verifyBackup, writeBackup, type Backup } from '@strata/metadata/backup'
import { metadataFailure } from './bookie-run.ts'
import { CommandFailure } from './failure.ts'
import { openMetadataStore } from './metadata-door.ts'
import { sizeText } from './options.ts'
import { printFields, printJson, printLine, startProgress } from './output.ts'

export interface StoreFlags {
  readonly metadata: string
  readonly metadataConfig?: string
  readonly json?: boolean
}

/** Ids that may have been given out since a backup was made, and that no node which joins again tells of. */
const LEDGER_IDS_PAST = 2 ** 32

/** Writes a backup of the metadata while the cluster runs. */
export async function backupMetadata(flags: StoreFlags & { out: string }): Promise<void> {
  const { out: path } = flags
  if (existsSync(path)) throw new CommandFailure(`${path} is there already: name another file with --out`)
  await withStore(flags, { mustExist: true }, async store => {
    const clusterId = await readClusterId(store)
    if (clusterId === undefined)
      throw new CommandFailure(`there is no cluster at ${flags.metadata}: nothing to back up`)
    let written = 0
    const progress = startProgress(() => `${written} records written`, flags.json !== true)
    const onRecords = (count: number): void => {
      written = count
    }
    const backup = await writeBackup(store, { path, clusterId, clock: systemClock, onRecords })
      .catch((error: unknown) => {
        throw fileFailure(error, path)
      })
      .finally(() => progress.stop())
    await tell(backup, path, flags)
  })
}

/** Reads a file to its end. */
export async function checkBackup(path: string, flags: { json?: boolean }): Promise<void> {
  const backup = await verifyBackup(path).catch((error: unknown) => {
    throw fileFailure(error, path)
  })
  await tell(backup, path, flags)
}

/** Puts a backup into an empty store, which is held until `strata fsck` has compared it with the storage nodes. */
export async function restoreMetadata(flags: StoreFlags & { from: string }): Promise<void> {
  const { from: path, metadata: url } = flags
  await withStore(flags, { mustExist: false }, async store => {
    let restored = 0
    const progress = startProgress(() => `${restored} records restored`, flags.json !== true)
    const onRecords = (count: number): void => {
      restored = count
    }
    const backup = await restoreBackup(store, { path, clock: systemClock, onRecords })
      .catch((error: unknown) => {
        throw fileFailure(error, path, url)
      })
      .finally(() => progress.stop())
    await leaveOutLedgerIds(store)
    await tell(backup, path, flags)
    const next = `start the storage nodes, then run: strata fsck --accept-store --metadata ${url}`
    if (flags.json !== true) await printLine(`Nobody serves by it yet: ${next}`)
  })
}

/** None that was given out since is given out again. */
async function leaveOutLedgerIds(store: ArchivableStore): Promise<void> {
  const record = await store.get('ledger-ids')
  if (record === undefined) return // nobody ever took one
  let highest = 0
  for (let after = 'ledgers/'; ;) {
    const page = await store.scan({ prefix: 'ledgers/', after, keysOnly: true })
    highest = Math.max(highest, Number(page.records.at(-1)?.key.slice('ledgers/'.length) ?? 0))
    if (page.next === undefined) break
    after = page.next
  }
  await raiseLedgerIds(store, { above: ledgerId(highest + LEDGER_IDS_PAST), clock: systemClock })
}

async function tell({ head, counts }: Backup, path: string, { json = false }: { json?: boolean }): Promise<void> {
  if (json) {
    await printJson({ file: path, ...head, ...counts })
    return
  }
  printFields([
    ['file', path],
    ['cluster', head.clusterId],
    ['revision', head.revision],
    ['made', new Date(head.createdAtMs).toISOString()],
    ['records', `${counts.records}, ${sizeText(counts.bytes)}`],
    ['left out', `${counts.leased} of running processes`]
  ])
}

/** Runs with a store that can be copied. @throws CommandFailure, CodedError BAD_SETTING */
export async function withStore<T>(
  { metadata: url, metadataConfig = '' }: Pick<StoreFlags, 'metadata' | 'metadataConfig'>,
  { mustExist }: { mustExist: boolean },
  run: (store: ArchivableStore) => Promise<T>
): Promise<T> {
  const logger = createLogger({ level: 'error' })
  const store = await openMetadataStore(url, { configPath: metadataConfig, logger, mustExist }).catch(
    (error: unknown) => {
      throw metadataFailure(error, url)
    }
  )
  try {
    if (!isArchivable(store)) throw new CommandFailure(`${url} cannot be copied`)
    return await run(store)
  } catch (error) {
    throw metadataFailure(error, url)
  } finally {
    await store.close()
  }
}

export function fileFailure(error: unknown, path: string, url = ''): unknown {
  if (MetadataError.is(error, 'BACKUP_UNREADABLE')) {
    const line = `${path} is no whole backup of metadata (${String(error.details.reason)}): use another one`
    return new CommandFailure(line, { cause: error })
  }
  if (MetadataError.is(error, 'STORE_NOT_EMPTY')) return notEmpty(error, url)
  if (error instanceof Error && 'code' in error && 'syscall' in error) {
    return new CommandFailure(`${path} cannot be written (${String(error.code)}): name another file`, { cause: error })
  }
  return error
}

export function notEmpty(cause: Error, url: string): CommandFailure {
  const advice = 'name a store, or a prefix of one, that nothing was ever put into'
  return new CommandFailure(`${url} is not empty, nothing was changed: ${advice}`, { cause })
}
