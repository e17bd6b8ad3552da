import { CodedError, type BookieId, type EntryId, type LedgerId, type Logger } from '@strata/base'
import { LedgerError, type BookieDescription, type LedgerMetadata, type VersionedLedger } from '@strata/ledger-client'
import {
  nodesWithin,
  planRepair,
  withRepair,
  type EntryRange,
  type NodeGroups,
  type RepairPlan,
  type RepairTask
} from '@strata/ledger-protocol'
import type { ByteRate } from './byte-rate.ts'
import { copyEntries, type CopyResult } from './copy-entries.ts'
import type { LossBook } from './loss-book.ts'
import type { AuditedDirectory, NodeWatch } from './node-watch.ts'
import { missingOn, placesOf, settledPart, surveyLedger, type SettledPart, type Survey } from './survey.ts'

export interface RepairDoors {
  /** Guarded by the leadership: whoever does not lead any more changes nothing. */
  readonly metadata: LedgerMetadata
  readonly directory: AuditedDirectory
  readonly nodes: NodeWatch
  readonly rate: ByteRate
  readonly losses: LossBook
  readonly logger: Logger
  readonly random: () => number
  /** The leadership is gone, or everything must wait. */
  readonly isOver: () => boolean
  readonly onCopied: (bytes: number) => void
}

/** Why a ledger is not whole yet; `retry`: time alone may help, else only a change of the nodes. */
export interface Unfinished {
  readonly why: string
  readonly retry: boolean
}

/** A ledger that is found otherwise after so many rounds has its turn again later. */
const ROUNDS_MAX = 16

/**
 * Brings one ledger back to its full number of copies, as far as its entries are settled: looks at what its members hold,
 * copies what is missing, and names a replacement by compare-and-set when all of it is verified and synced there. Looks again
 * until there is nothing left to do.
 *
 * Invariants
 *   R1  A place changes hands only in the version of the metadata that was looked at, under the leadership that looked.
 *   R2  The last ensemble of a ledger that is not closed is never touched.
 *   R3  A member that is back before its replacement is named keeps its place.
 *   R4  A ledger that was made for nodes of some groups gets no member of another: it waits for one, and says so.
 */
export class LedgerRepair {
  readonly #id: LedgerId
  readonly #doors: RepairDoors
  readonly #verify: boolean
  /** What nodes turned out not to have, or to have damaged, while others were served from them. */
  readonly #bad = new Map<BookieId, EntryId[]>()

  constructor(id: LedgerId, options: RepairDoors & { verify: boolean }) {
    this.#id = id
    this.#doors = options
    this.#verify = options.verify
  }

  /** undefined: nothing is missing, or the ledger is gone. @throws LedgerError NOT_LEADER; MetadataError */
  async run(): Promise<Unfinished | undefined> {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      if (this.#doors.isOver()) return { why: 'repair was stopped', retry: true }
      const ledger = await this.#doors.metadata.read(this.#id)
      const part = ledger && settledPart(ledger.record)
      if (ledger === undefined || part === undefined) return undefined
      const survey = await this.#survey(part, { verify: this.#verify && round === 0 })
      const plan = this.#plan(part, survey, ledger.record.groups)
      const isWhole = plan.tasks.length === 0 && plan.lost.length === 0
      if (isWhole) return silenceOf(survey)
      await this.#doors.losses.note(this.#id, plan.lost, part.quorum.ensembleSize)
      const progress = await this.#runTasks(ledger, { plan, part })
      if (progress !== 'again') return progress ?? waitsFor(plan)
    }
    return { why: 'it changed all the time', retry: true }
  }

  async #survey(part: SettledPart, { verify }: { verify: boolean }): Promise<Survey> {
    const { nodes, directory } = this.#doors
    const members = [...new Set(part.ensembles.flatMap(({ bookies }) => bookies))]
    const reachable = members.filter(id => nodes.isAvailable(id))
    const survey = await surveyLedger(this.#id, part, { members: reachable, directory, verify })
    for (const [bookie, entries] of this.#bad) {
      const missing = survey.missing.get(bookie)
      if (missing !== undefined) survey.missing.set(bookie, withEntries(missing, entries))
    }
    return survey
  }

  #plan({ quorum, ensembles, end }: SettledPart, { missing }: Survey, groups: NodeGroups | undefined): RepairPlan {
    const { nodes, directory, random } = this.#doors
    const present = directory.writable().filter(node => nodes.standing(node.bookieId) === 'present')
    const writable = nodesWithin(present, groups, quorum.ensembleSize)
    return planRepair({
      ledger: { quorum, ensembles, end },
      standing: id => nodes.standing(id),
      missing,
      writable: writable.map(placementNode),
      seed: random()
    })
  }

  /** 'again': something was done, or is to be seen anew. undefined: all that can be done now was not enough. */
  async #runTasks(
    ledger: VersionedLedger,
    { plan, part }: { plan: RepairPlan; part: SettledPart }
  ): Promise<Unfinished | 'again' | undefined> {
    let trouble: Unfinished | undefined
    let isChanged = false
    for (const task of plan.tasks) {
      if (task.to === undefined) {
        trouble = { why: `no node${ofGroups(ledger.record.groups)} can take the place of ${task.member}`, retry: false }
        continue
      }
      const badBefore = this.#badCount
      const result = await this.#copy(task, task.to, part)
      switch (result.kind) {
        case 'copied':
          if (task.to !== task.member) return this.#name(ledger, task, part)
          this.#bad.delete(task.member)
          isChanged = true
          break
        case 'unwanted':
          return this.#doors.isOver() ? { why: 'repair was stopped', retry: true } : 'again'
        case 'refused':
          trouble = { why: `${result.by} does not take copies: ${result.why}`, retry: true }
          break
        case 'unreadable':
          if (this.#badCount > badBefore) return 'again' // without those who turned out not to have it
          trouble = { why: `entry ${result.entryId} cannot be read now`, retry: true }
          break
      }
    }
    return isChanged && trouble === undefined ? 'again' : trouble
  }

  get #badCount(): number {
    return [...this.#bad.values()].reduce((sum, entries) => sum + entries.length, 0)
  }

  #copy({ member, parts }: RepairTask, to: BookieId, part: SettledPart): Promise<CopyResult> {
    const { nodes, directory, rate, onCopied, isOver } = this.#doors
    const isReturned = (): boolean => to !== member && nodes.standing(member) === 'present' // R3
    return copyEntries(
      this.#id,
      { to, parts, every: part.quorum.ensembleSize },
      {
        ...{ directory, rate, onCopied },
        isWanted: () => !isOver() && !isReturned(),
        onBad: (bookie, entry) => this.#bad.set(bookie, [...(this.#bad.get(bookie) ?? []), entry])
      }
    )
  }

  /** The compare-and-set that gives the place away, when the node has everything. 'again': planned anew. */
  async #name(ledger: VersionedLedger, task: RepairTask, part: SettledPart): Promise<Unfinished | 'again'> {
    const { metadata, directory, nodes, logger } = this.#doors
    const { to, member, ensemble, index } = task
    const node = to === undefined ? undefined : directory.node(to)
    if (to === undefined || node === undefined) return { why: `${to ?? 'nobody'} cannot be reached`, retry: true }
    const after = withRepair(part.ensembles, task)
    const places = placesOf(to, { ...part, ensembles: after }).filter(place => place.first === ensemble)
    try {
      const lacking = await missingOn(node, this.#id, { places, verify: false })
      if (lacking.some(range => task.parts.some(copied => overlaps(range, copied) && !isOther(range, copied, part)))) {
        return { why: `${to} does not have what was written there`, retry: true }
      }
    } catch (error) {
      if (!(error instanceof CodedError) || LedgerError.is(error, 'NOT_LEADER')) throw error
      return { why: `${to} does not say what it has`, retry: true }
    }
    if (nodes.standing(member) === 'present') return 'again' // R3
    const ensembles = withRepair(ledger.record.ensembles, task)
    const named = await metadata.replace(this.#id, ledger, { ...ledger.record, ensembles })
    if (named !== undefined) {
      const fields = {
        event: 'ledger.copy_restored',
        ledgerId: this.#id,
        firstEntryId: ensemble,
        index,
        from: member,
        to
      }
      logger.info(fields, 'a ledger has another member in the place of one that is not there or is to leave')
    }
    return 'again'
  }
}

function ofGroups(groups: NodeGroups | undefined): string {
  return groups === undefined ? '' : ` of ${[...groups.primary, ...groups.secondary].join(', ')}`
}

function placementNode({ bookieId, rack, host, freeBytes }: BookieDescription): BookieDescription {
  return {
    bookieId,
    ...(rack === undefined ? {} : { rack }),
    ...(host === undefined ? {} : { host }),
    ...(freeBytes === undefined ? {} : { freeBytes })
  }
}

function overlaps(a: EntryRange, b: EntryRange): boolean {
  return a.first <= b.last && b.first <= a.last
}

/** Is the gap one of entries that the stripe does not have? */
function isOther(range: EntryRange, copied: RepairTask['parts'][number], { quorum }: SettledPart): boolean {
  if (copied.remainder === undefined) return false
  const first = Math.max(range.first, copied.first)
  const last = Math.min(range.last, copied.last)
  const every = quorum.ensembleSize
  return first + ((((copied.remainder - first) % every) + every) % every) > last
}

function withEntries(ranges: readonly EntryRange[], entries: readonly EntryId[]): EntryRange[] {
  const alone = entries.filter(id => !ranges.some(({ first, last }) => first <= id && id <= last))
  const single = [...new Set(alone)].map(id => ({ first: id, last: id }))
  return [...ranges, ...single].sort((a, b) => a.first - b.first)
}

function silenceOf({ silent }: Survey): Unfinished | undefined {
  return silent.length === 0 ? undefined : { why: `${silent.join(', ')} did not say what it holds`, retry: true }
}

function waitsFor({ lost }: RepairPlan): Unfinished | undefined {
  const awaited = [...new Set(lost.flatMap(each => each.waitsFor))]
  return awaited.length === 0 ? undefined : { why: `it waits for ${awaited.join(', ')}`, retry: false }
}
