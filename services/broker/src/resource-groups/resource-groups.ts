import { every, reasonOf, type Clock, type Logger } from '@strata/base'
import { transactUntilAnswered, type Lease, type MetadataStore } from '@strata/metadata'
import { RowTable } from '../balance/row-table.ts'
import type { BrokerSettings } from '../config/settings.ts'
import { PolicyRowSchema } from '../generated/broker_pb.ts'
import { DispatchLimit } from '../limits/dispatch-limit.ts'
import { SharedPublishLimit } from '../limits/shared-publish-limit.ts'
import type { Rate } from '../limits/rate-pair.ts'
import { decodeRow, scanAll } from '../namespace/rows.ts'
import {
  decodeGroup,
  decodeUses,
  encodeGroup,
  encodeUses,
  FIELD_OF,
  groupKeys,
  groupOfKey,
  LIMITS,
  type GroupUse,
  type Limit,
  type ResourceGroup
} from './rows.ts'
import { sharesOf, type Demand } from './shares.ts'

interface ResourceGroupsOptions {
  readonly store: MetadataStore
  readonly clock: Clock
  readonly logger: Logger
  readonly settings: Pick<BrokerSettings, 'resourceUsageTransportPublishIntervalInSecs'>
}

/** What topics of a group share at this broker. */
interface GroupLimits {
  readonly publish: SharedPublishLimit
  readonly dispatch: DispatchLimit
}

/** How long the word of a broker that fell silent counts. */
const LEASE_MS = 10_000
/** A use that changed by less than this part is no news. */
const NEWS_PART = 0.05
/** A broker that makes nothing of a group for so many intervals says nothing of it any more. */
const SILENT_INTERVALS = 30
const NOTHING: Demand = { perSecond: 0, isHeldBack: false }

/**
 * Rates that namespaces share on all brokers together. Each broker tells in a row of its own, once an interval, what it used
 * of them and whether somebody had to wait; what is in these rows says how much of each limit is whose (`sharesOf`).
 *
 * Invariants
 *   G1  Shares are derived from rows alone, its own among them, so brokers that have seen the same rows agree.
 *   G2  A group that nobody has defined limits nothing.
 */
export class ResourceGroups {
  readonly #options: ResourceGroupsOptions
  readonly #limits = new Map<string, GroupLimits>()
  readonly #idle = new Map<string, number>()
  #groups: RowTable<ResourceGroup> | undefined
  #uses: RowTable<ReadonlyMap<string, Demand>> | undefined
  #instance: () => string = () => ''
  #told: ReadonlyMap<string, GroupUse> = new Map()
  #lease: Lease | undefined
  #telling: Promise<void> | undefined
  #measuredAtMs = 0
  #stop: () => void = () => undefined
  #isStopped = false

  private constructor(options: ResourceGroupsOptions) {
    this.#options = options
  }

  /** @throws MetadataError */
  static async open(options: ResourceGroupsOptions): Promise<ResourceGroups> {
    const groups = new ResourceGroups(options)
    const { store, logger } = options
    const doors = { store, logger }
    groups.#groups = await RowTable.open({
      ...{ ...doors, prefix: groupKeys.groups, decode: decodeGroup },
      onChange: key => {
        const name = groupOfKey(key)
        if (name !== undefined) groups.#apply(name)
      }
    })
    groups.#uses = await RowTable.open({
      ...{ ...doors, prefix: groupKeys.uses, decode: decodeUses },
      onChange: () => {
        for (const name of groups.#limits.keys()) groups.#apply(name)
      }
    })
    return groups
  }

  /** One for each name, whether there is such a group or not yet. */
  of(name: string): GroupLimits {
    let limits = this.#limits.get(name)
    if (limits === undefined) {
      const { clock } = this.#options
      limits = { publish: new SharedPublishLimit(clock), dispatch: new DispatchLimit(clock) }
      this.#limits.set(name, limits)
      this.#apply(name)
    }
    return limits
  }

  /** Begins to tell the other brokers. */
  start(instance: () => string): void {
    const { clock, settings } = this.#options
    this.#instance = instance
    this.#measuredAtMs = clock.nowMs()
    this.#stop = every(clock, settings.resourceUsageTransportPublishIntervalInSecs * 1000, () => {
      this.#tell()
    })
  }

  /** Resolves when nothing is on its way to the other brokers. */
  async told(): Promise<void> {
    await this.#telling
  }

  /** Tells nothing any more, and takes back what it told; the others share without it. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#stop()
    await this.told()
    await this.#lease?.revoke().catch(() => undefined)
  }

  /** After `stop`, whether that is over or not. */
  close(): void {
    this.#groups?.close()
    this.#uses?.close()
  }

  // ------------------------------------------------------------ what operators say

  /** In order. */
  async names(): Promise<string[]> {
    const names: string[] = []
    for await (const { key } of scanAll(this.#options.store, groupKeys.groups, { keysOnly: true })) {
      const name = groupOfKey(key)
      if (name !== undefined) names.push(name)
    }
    return names
  }

  async get(name: string): Promise<ResourceGroup | undefined> {
    const record = await this.#options.store.get(groupKeys.group(name))
    return record === undefined ? undefined : decodeGroup(record)
  }

  /** What is not given stays as it is. */
  async set(name: string, change: ResourceGroup): Promise<void> {
    const { store } = this.#options
    const key = groupKeys.group(name)
    for (;;) {
      const record = await store.get(key)
      const value = encodeGroup({ ...(record === undefined ? {} : decodeGroup(record)), ...change })
      const compares = [{ key, version: record?.version ?? 0 }]
      const result = await transactUntilAnswered(store, { compares, changes: [{ kind: 'put', key, value }] })
      if (result.committed) return
    }
  }

  /** False: a namespace is in it, so it stays. Of a namespace that joins meanwhile either this or `join` sees the other. */
  async remove(name: string): Promise<boolean> {
    const { store } = this.#options
    const key = groupKeys.group(name)
    const record = await store.get(key)
    if (record === undefined) return true
    if (await this.#isUsed(name)) return false
    await transactUntilAnswered(store, { compares: [], changes: [{ kind: 'delete', key }] })
    if (!(await this.#isUsed(name))) return true
    await transactUntilAnswered(store, { compares: [], changes: [{ kind: 'put', key, value: record.value }] })
    return false
  }

  async #isUsed(name: string): Promise<boolean> {
    for await (const record of scanAll(this.#options.store, 'policies/')) {
      if (!record.key.endsWith('/resourceGroup')) continue
      if (decodeRow(PolicyRowSchema, record).json === JSON.stringify(name)) return true
    }
    return false
  }

  // ------------------------------------------------------------ shares

  #apply(name: string): void {
    const limits = this.#limits.get(name)
    if (limits === undefined) return
    const group = this.#groups?.rows.get(groupKeys.group(name))
    const rateOf = (messages: Limit, bytes: Limit): Rate => ({
      messagesPerSecond: this.#shareOf(name, messages, group),
      bytesPerSecond: this.#shareOf(name, bytes, group)
    })
    limits.publish.adjustRate(rateOf('publish-messages', 'publish-bytes'))
    limits.dispatch.adjustRate(rateOf('dispatch-messages', 'dispatch-bytes'))
  }

  /** 0: no limit. */
  #shareOf(name: string, limit: Limit, group: ResourceGroup | undefined): number {
    const rate = group?.[FIELD_OF[limit]] ?? 0
    if (rate <= 0) return 0
    const id = `${limit} ${name}`
    const ownKey = groupKeys.usesOf(this.#instance())
    const demands: Demand[] = [NOTHING]
    for (const [key, uses] of this.#uses?.rows ?? []) {
      const demand = uses.get(id)
      if (demand === undefined) continue
      if (key === ownKey) demands[0] = demand
      else demands.push(demand)
    }
    return sharesOf(rate, demands)[0] ?? rate
  }

  #tell(): void {
    const uses = this.#measured()
    if (this.#telling !== undefined || this.#isStopped || !isNews(uses, this.#told, this.#lease)) return
    this.#telling = this.#write(uses)
      .catch((error: unknown) => {
        const fields = { event: 'resource_groups.tell_failed', reason: reasonOf(error) }
        this.#options.logger.warn(fields, 'what is used of resource groups was not told to the other brokers')
      })
      .finally(() => {
        this.#telling = undefined
      })
  }

  /** Since this was called last, of groups that are of use here. */
  #measured(): Map<string, GroupUse> {
    const nowMs = this.#options.clock.nowMs()
    const seconds = Math.max(0.001, (nowMs - this.#measuredAtMs) / 1000)
    this.#measuredAtMs = nowMs
    const uses = new Map<string, GroupUse>()
    for (const [name, limits] of this.#limits) {
      const [ins, outs] = [limits.publish.takeUse(), limits.dispatch.takeUse()]
      const isUsed =
        ins.messages + outs.messages > 0 || [ins, outs].some(use => use.isOutOfMessages || use.isOutOfBytes)
      const idle = isUsed ? 0 : (this.#idle.get(name) ?? SILENT_INTERVALS) + 1
      this.#idle.set(name, idle)
      if (idle > SILENT_INTERVALS || this.#groups?.rows.has(groupKeys.group(name)) !== true) continue
      uses.set(name, {
        'publish-messages': { perSecond: ins.messages / seconds, isHeldBack: ins.isOutOfMessages },
        'publish-bytes': { perSecond: ins.bytes / seconds, isHeldBack: ins.isOutOfBytes },
        'dispatch-messages': { perSecond: outs.messages / seconds, isHeldBack: outs.isOutOfMessages },
        'dispatch-bytes': { perSecond: outs.bytes / seconds, isHeldBack: outs.isOutOfBytes }
      })
    }
    return uses
  }

  async #write(uses: ReadonlyMap<string, GroupUse>): Promise<void> {
    const { store, clock } = this.#options
    const key = groupKeys.usesOf(this.#instance())
    if (this.#lease?.isLost !== false) this.#lease = await store.grantLease(LEASE_MS)
    const change =
      uses.size === 0
        ? ({ kind: 'delete', key } as const)
        : ({ kind: 'put', key, value: encodeUses(uses), lease: this.#lease } as const)
    await transactUntilAnswered(store, { compares: [], changes: [change] }, { clock })
    this.#told = uses
  }
}

function isNews(
  uses: ReadonlyMap<string, GroupUse>,
  told: ReadonlyMap<string, GroupUse>,
  lease: Lease | undefined
): boolean {
  if (uses.size !== told.size || (uses.size > 0 && lease?.isLost !== false)) return true
  for (const [name, use] of uses) {
    const before = told.get(name)
    if (before === undefined || LIMITS.some(limit => hasChanged(use[limit], before[limit]))) return true
  }
  return false
}

function hasChanged(now: Demand, before: Demand): boolean {
  const most = Math.max(now.perSecond, before.perSecond)
  return now.isHeldBack !== before.isHeldBack || Math.abs(now.perSecond - before.perSecond) > most * NEWS_PART
}
