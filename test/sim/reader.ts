import { CodedError, entryId, type EntryId, type LedgerId } from '@strata/base'
import { Actor } from './actor.ts'
import { tagOf } from './payload.ts'

const ENTRIES_MAX = 24
const BYTES_MAX = 4_000

/** Reads ledgers of a log as they come: closed ones to their end, open ones to the LAC that their nodes know. */
export class Reader extends Actor {
  #isStopped = false
  isDone = false

  stop(): void {
    this.#isStopped = true
  }

  start(pauseMs: number): void {
    this.begin(async () => {
      while (!this.#isStopped) {
        await this.#round()
        await this.pause(this.random.skewed(1, pauseMs))
      }
      this.isDone = true
    })
  }

  async #round(): Promise<void> {
    try {
      const { ledgers } = await this.log.read()
      if (ledgers.length === 0) return
      const { ledgerId } = this.random.pick(ledgers)
      const described = await this.client.describe(ledgerId)
      if (described === undefined) return
      if (described.end !== undefined) this.world.history.ended(ledgerId, described.end, this.name)
      const bookies = described.ensembles.at(-1)?.bookies ?? []
      const last = described.end?.lastEntryId ?? (await this.#lacOf(ledgerId, bookies))
      if (last >= 0) await this.#read(ledgerId, last)
    } catch (error) {
      if (!(error instanceof CodedError)) throw error
      this.#check(error as CodedError)
    }
  }

  /** The highest LAC that a node of the ensemble knows. */
  async #lacOf(ledgerId: LedgerId, bookies: readonly Parameters<Actor['node']>[0][]): Promise<EntryId> {
    let lac = entryId(-1)
    for (const bookie of bookies) {
      const answer = await this.node(bookie)
        ?.readLac({ ledgerId, fence: false })
        .catch(() => undefined)
      if (answer !== undefined && answer.lac > lac) lac = answer.lac
    }
    return lac
  }

  async #read(ledgerId: LedgerId, last: EntryId): Promise<void> {
    const reader = await this.client.open(ledgerId)
    const first = entryId(this.random.int(last + 1))
    const limits = { first, last, bytesMax: BYTES_MAX, entriesMax: 1 + this.random.int(ENTRIES_MAX) }
    for (const entry of await reader.read(limits)) {
      this.world.history.shown(ledgerId, { entryId: entry.entryId, tag: tagOf(entry.payload) }, this.name)
    }
  }

  /** Everything it asks for is confirmed, so no answer may say that it never was. */
  #check(error: CodedError): void {
    const id = error.details['ledgerId'] as LedgerId
    const { history } = this.world
    if (error.code !== 'NO_SUCH_ENTRY' || history.isDeleting(id)) return
    history.violate('acked-kept', `${this.name} was told ${error.message}`)
  }
}
