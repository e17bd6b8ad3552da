import type { Logger } from '@strata/base'
import type { MetadataStore } from '@strata/metadata'
import type { BrokerSettings } from '../config/settings.ts'
import { PolicyRowSchema } from '../generated/broker_pb.ts'
import { decodeRow } from '../namespace/rows.ts'
import type { BrokerAddress, BundleName } from '../ownership/contract.ts'
import type { BookieAffinity } from './bookie-affinity.ts'
import { balanceKeys, decodeDomain, decodeIsolation, lastSegment, type IsolationData } from './rows.ts'
import { RowTable } from './row-table.ts'
import { namePattern, type IsolationPolicy, type NamePattern, type PlacementRules } from './rules.ts'

/** What rules need of ownership. */
export interface RuleSources {
  bundlesOf(namespace: string): Promise<readonly BundleName[]>
  ownerOf(bundle: BundleName): BrokerAddress | undefined
}

const POLICIES = 'policies/'
const ANTI_AFFINITY = '/antiAffinity'
const BOOKIE_AFFINITY = '/bookieAffinity'

/** What operators said about places: isolation policies, failure domains, affinity and anti-affinity groups. Rows, kept true by watches. */
export class ClusterRules {
  readonly #settings: BrokerSettings
  readonly #sources: RuleSources
  readonly #isolation: RowTable<IsolationData>
  readonly #domains: RowTable<readonly string[]>
  readonly #affinities: RowTable<unknown>
  readonly #divisions = new Map<string, readonly BundleName[]>()
  #fixed: Omit<PlacementRules, 'holders'> | undefined
  #isWithDomains = false

  private constructor(options: {
    settings: BrokerSettings
    sources: RuleSources
    tables: [RowTable<IsolationData>, RowTable<readonly string[]>, RowTable<unknown>]
    changed: { run: () => void }
  }) {
    this.#settings = options.settings
    this.#sources = options.sources
    ;[this.#isolation, this.#domains, this.#affinities] = options.tables
    options.changed.run = () => {
      this.#fixed = undefined
      if (this.#fixedRules().groups.size > this.#divisions.size) void this.refresh()
    }
  }

  /** @throws MetadataError */
  static async open(options: {
    store: MetadataStore
    settings: BrokerSettings
    logger: Logger
    sources: RuleSources
  }): Promise<ClusterRules> {
    const { store, settings, logger, sources } = options
    const changed = { run: (): void => undefined }
    const doors = {
      store,
      logger,
      onChange: () => {
        changed.run()
      }
    }
    const prefix = balanceKeys.isolationOf(settings.clusterName)
    const isolation = await RowTable.open({ ...doors, prefix, decode: decodeIsolation })
    const domainPrefix = balanceKeys.domainsOf(settings.clusterName)
    const domains = await RowTable.open({ ...doors, prefix: domainPrefix, decode: decodeDomain })
    const affinities = await RowTable.open({ ...doors, prefix: POLICIES, decode: decodePolicy, keep: isAffinity })
    return new ClusterRules({ settings, sources, tables: [isolation, domains, affinities], changed })
  }

  /** As of now; `namespace`: whose bundle is to be placed. */
  rules(namespace?: string): PlacementRules {
    const fixed = this.#fixedRules()
    const group = namespace === undefined ? undefined : fixed.groups.get(namespace)
    if (namespace !== undefined && group === undefined) return { ...fixed, holders: new Map() }
    const holders = new Map<string, readonly string[]>()
    for (const [each, its] of fixed.groups)
      if (group === undefined || its === group) holders.set(each, this.#holdersOf(each))
    return { ...fixed, holders }
  }

  /** Learns how namespaces of groups are divided. One that cannot be learnt counts as held by nobody until the next time. */
  async refresh(): Promise<void> {
    const { groups } = this.#fixedRules()
    for (const namespace of this.#divisions.keys()) if (!groups.has(namespace)) this.#divisions.delete(namespace)
    for (const namespace of groups.keys()) {
      const bundles = await this.#sources.bundlesOf(namespace).catch(() => [])
      this.#divisions.set(namespace, bundles)
    }
  }

  affinityOf(namespace: string): BookieAffinity | undefined {
    const affinity = this.#affinities.rows.get(`${POLICIES}${namespace}${BOOKIE_AFFINITY}`)
    return (affinity as BookieAffinity | null | undefined) ?? undefined
  }

  close(): void {
    for (const table of [this.#isolation, this.#domains, this.#affinities]) table.close()
  }

  #holdersOf(namespace: string): string[] {
    const bundles = this.#divisions.get(namespace) ?? []
    return bundles.flatMap(bundle => this.#sources.ownerOf(bundle)?.instance ?? [])
  }

  #fixedRules(): Omit<PlacementRules, 'holders'> {
    const isWithDomains = this.#settings.failureDomainsEnabled
    if (this.#fixed !== undefined && this.#isWithDomains === isWithDomains) return this.#fixed
    const isolation = [...this.#isolation.rows].map(([key, data]) => isolationPolicyOf(lastSegment(key) ?? '', data))
    const domains = new Map<string, string>()
    for (const [key, brokers] of isWithDomains ? this.#domains.rows : []) {
      for (const id of brokers) domains.set(id, lastSegment(key) ?? '')
    }
    const groups = new Map<string, string>()
    for (const [key, group] of this.#affinities.rows) {
      if (typeof group === 'string' && group !== '')
        groups.set(key.slice(POLICIES.length, -ANTI_AFFINITY.length), group)
    }
    this.#isWithDomains = isWithDomains
    this.#fixed = { isolation: isolation.sort((a, b) => (a.name < b.name ? -1 : 1)), domains, groups }
    return this.#fixed
  }
}

/** Patterns that are none were refused when the policy was set. */
export function isolationPolicyOf(name: string, data: IsolationData): IsolationPolicy {
  const patterns = (texts: readonly string[]): NamePattern[] => texts.flatMap(text => namePattern(text) ?? [])
  return {
    name,
    namespaces: patterns(data.namespaces),
    primary: patterns(data.primary),
    secondary: patterns(data.secondary),
    minLimit: Number(data.parameters.min_limit ?? 1),
    usageThreshold: Number(data.parameters.usage_threshold ?? 100)
  }
}

function isAffinity(key: string): boolean {
  return key.endsWith(ANTI_AFFINITY) || key.endsWith(BOOKIE_AFFINITY)
}

/** It was checked when it was set. */
function decodePolicy(row: { key: string; value: Uint8Array }): unknown {
  return JSON.parse(decodeRow(PolicyRowSchema, row).json ?? 'null')
}
