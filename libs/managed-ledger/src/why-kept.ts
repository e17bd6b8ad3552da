import { LedgerTable, comparePositions } from '@strata/cursor-protocol'
import type { MetadataStore } from '@strata/metadata'
import { decodeCursors } from './log-loader.ts'
import {
  decodeLedgerRecord,
  decodeLogRecord,
  ledgersPrefix,
  logKey,
  type LedgerRecord,
  type LogRecord
} from './records.ts'

/** What keeps a ledger, or does not: the facts, then each reason in a sentence. */
export interface LedgerReasons {
  readonly log: string
  readonly role: 'data' | 'cursors'
  /** By what the log says; unlisted: nothing names it, so it is garbage. */
  readonly standing: 'open' | 'closed' | 'deleting' | 'current' | 'obsolete' | 'unlisted'
  /** Subscriptions that have not passed it. */
  readonly subscriptions: readonly { readonly name: string; readonly ledgerId: number; readonly entryId: number }[]
  readonly reasons: readonly string[]
}

/** `log:name@epoch` or `cursors:name@epoch`, as the logs write it; undefined: nobody that this package knows. */
export function parseOwner(owner: string): { log: string; role: 'data' | 'cursors' } | undefined {
  const match = /^(log|cursors):(.*)@\d+$/s.exec(owner)
  return match === null ? undefined : { log: match[2] ?? '', role: match[1] === 'log' ? 'data' : 'cursors' }
}

/**
 * Why a ledger is still kept, by the record of the log that made it. Looks only: fences nothing, changes nothing.
 * Cursors are as they were last made durable, which an owner that has the log open is at most a second ahead of.
 *
 * @param options.readEntries  All entries of a ledger that are confirmed, without taking it from its writer.
 * @throws ManagedLedgerError LOG_CORRUPT, MetadataError; what `readEntries` throws
 */
export async function whyKept(options: {
  metadata: MetadataStore
  owner: { log: string; role: 'data' | 'cursors' }
  ledgerId: number
  readEntries: (ledgerId: number) => Promise<Buffer[]>
}): Promise<LedgerReasons> {
  const { metadata, owner, ledgerId } = options
  const stored = await metadata.get(logKey(owner.log))
  const log = stored === undefined ? undefined : decodeLogRecord(stored.value)
  const of = (standing: LedgerReasons['standing'], ...reasons: string[]): LedgerReasons => {
    const deleting = log?.isDeleting === true ? ['the log is being deleted'] : []
    return { ...owner, standing, subscriptions: [], reasons: [...reasons, ...deleting] }
  }
  if (log === undefined) return of('unlisted', `there is no log ${owner.log} any more: nothing names this ledger`)
  if (owner.role === 'cursors') return cursorLedger(log, ledgerId, of)
  const listed = await listedLedgers(metadata, owner.log)
  const record = listed.find(each => each.ledgerId === ledgerId)
  if (record === undefined) return of('unlisted', `log ${owner.log} does not list it: nothing names this ledger`)
  if (record.state === 'deleting') return of('deleting', 'the log dropped it: it is deleted next')
  if (record.state === 'open') return of('open', 'the log appends to it, or its owner died and the next one closes it')
  const entries = log.cursorLedgerId === undefined ? [] : await options.readEntries(log.cursorLedgerId)
  const subscriptions = behind(record, { log, listed, entries })
  const earlier = listed.filter(each => each.ledgerId < ledgerId && each.state !== 'deleting').length
  const reasons = subscriptions.map(
    ({ name, ledgerId: ledger, entryId }) => `subscription ${name} is at ${ledger}:${entryId} and has not passed it`
  )
  if (earlier > 0) reasons.push(`${earlier} earlier ledgers of the log are kept, and ledgers go in order`)
  if (reasons.length === 0) reasons.push('only retention keeps it, or the next trim removes it')
  return { ...of('closed', ...reasons), subscriptions }
}

function cursorLedger(
  { cursorLedgerId, obsoleteLedgerIds }: LogRecord,
  ledgerId: number,
  of: (standing: LedgerReasons['standing'], ...reasons: string[]) => LedgerReasons
): LedgerReasons {
  if (cursorLedgerId === ledgerId) return of('current', "the log's subscriptions are in it")
  if (obsoleteLedgerIds.includes(ledgerId)) return of('obsolete', 'another one took its place: it is deleted next')
  return of('unlisted', 'the log names another one: nothing names this ledger')
}

async function listedLedgers(metadata: MetadataStore, log: string): Promise<LedgerRecord[]> {
  const listed: LedgerRecord[] = []
  let after: string | undefined
  do {
    const page = await metadata.scan({ prefix: ledgersPrefix(log), ...(after === undefined ? {} : { after }) })
    for (const { key, value } of page.records) listed.push(decodeLedgerRecord(key, value))
    after = page.next
  } while (after !== undefined)
  return listed
}

function behind(
  record: LedgerRecord,
  { log, listed, entries }: { log: LogRecord; listed: readonly LedgerRecord[]; entries: readonly Buffer[] }
): LedgerReasons['subscriptions'] {
  const table = new LedgerTable(log.trimmedThrough)
  for (const each of listed) if (each.state !== 'deleting') table.add(each)
  const end = { ledgerId: record.ledgerId, entryId: record.entries - 1 }
  return decodeCursors(entries, table)
    .filter(({ state }) => comparePositions(state.markDelete, end) < 0)
    .map(({ name, state }) => ({ name, ...state.markDelete }))
}
