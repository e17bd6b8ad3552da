import { isRecord, numberOf, textsOf, withAdmin, type AdminFlags } from './admin.ts'
import { allInOrder } from './bounded.ts'
import { CommandFailure } from './failure.ts'
import { sizeText } from './options.ts'
import { printJson, printTable } from './output.ts'

/** What one tenant takes of a cluster. Rates are per second, sizes count every copy, shares are of one. */
export interface TenantUsage {
  readonly tenant: string
  namespaces: number
  /** Loaded or not, as far as brokers have looked at them. */
  topics: number
  storageBytes: number
  backlogEntries: number
  backlogBytes: number
  /** Since its oldest unacknowledged message was published. */
  backlogAgeSeconds: number
  messagesIn: number
  messagesOut: number
  bytesIn: number
  bytesOut: number
  producers: number
  consumers: number
  /** What is sent, delivered, and asked over HTTP. */
  requests: number
}

export const DRIVERS = ['storage', 'bytes', 'requests', 'topics', 'clients'] as const
export type Driver = (typeof DRIVERS)[number]

export interface TenantCost extends TenantUsage {
  /** Its part of what all tenants take. */
  readonly shares: Readonly<Record<Driver, number>>
  /** What it takes most of, by its part; undefined: it takes nothing. */
  readonly driver: Driver | undefined
}

const BROKERS_AT_ONCE = 8

/** Storage, rates, age of the backlog and what drives cost, by tenant, over all brokers of the cluster. */
export async function tenantUsage(only: readonly string[], flags: AdminFlags): Promise<void> {
  const urls = await withAdmin(flags, async admin => textsOf(await admin.call('GET', 'brokers')))
  const reports = await allInOrder(brokerUrls(urls, flags.adminUrl), BROKERS_AT_ONCE, adminUrl =>
    withAdmin({ ...flags, adminUrl }, admin => admin.call('GET', 'broker-stats/metrics'))
  )
  const all = costsOf(sumUsage(reports))
  const costs = only.length === 0 ? all : all.filter(({ tenant }) => only.includes(tenant))
  if (flags.json === true) for (const cost of costs) await printJson(cost)
  else printTable(HEAD, costs.map(rowOf))
}

/** The one that was asked is asked by the address that it was asked by. @throws CommandFailure */
export function brokerUrls(brokers: readonly string[], adminUrl: string): readonly string[] {
  if (brokers.length <= 1) return [adminUrl]
  if (adminUrl.startsWith('https:')) {
    throw new CommandFailure(
      'brokers tell each other by addresses without TLS: name one of them with --admin-url http://…'
    )
  }
  return brokers.map(broker => (broker.includes('://') ? broker : `http://${broker}`))
}

/** What brokers say of their namespaces and tenants, added up by tenant. */
export function sumUsage(reports: readonly unknown[]): readonly TenantUsage[] {
  const tenants = new Map<string, TenantUsage>()
  const namespaces = new Set<string>()
  const of = (tenant: string): TenantUsage => {
    const usage = tenants.get(tenant) ?? noUsage(tenant)
    tenants.set(tenant, usage)
    return usage
  }
  for (const { metrics, dimensions } of reports.flatMap(rowsOf)) {
    const { namespace, tenant } = dimensions
    if (typeof tenant === 'string') of(tenant).requests += numberOf(metrics.brk_requestsPerSecond)
    if (typeof namespace !== 'string') continue
    const usage = of(namespace.split('/')[0] ?? namespace)
    if (!namespaces.has(namespace)) usage.namespaces++
    namespaces.add(namespace)
    addNamespace(usage, metrics)
  }
  return [...tenants.values()].sort((a, b) => (a.tenant < b.tenant ? -1 : 1))
}

export function costsOf(usages: readonly TenantUsage[]): readonly TenantCost[] {
  const measures = usages.map(measuresOf)
  const sums = Object.fromEntries(
    DRIVERS.map(driver => [driver, measures.reduce((sum, own) => sum + own[driver], 0)])
  ) as Record<Driver, number>
  return usages.map((usage, index) => {
    const own = measures[index] ?? measuresOf(usage)
    const shares = Object.fromEntries(
      DRIVERS.map(driver => [driver, sums[driver] > 0 ? own[driver] / sums[driver] : 0])
    ) as Record<Driver, number>
    const greatest = DRIVERS.reduce((best, driver) => (shares[driver] > shares[best] ? driver : best))
    return { ...usage, shares, driver: shares[greatest] > 0 ? greatest : undefined }
  })
}

function measuresOf(usage: TenantUsage): Record<Driver, number> {
  return {
    storage: usage.storageBytes,
    bytes: usage.bytesIn + usage.bytesOut,
    requests: usage.requests,
    topics: usage.topics,
    clients: usage.producers + usage.consumers
  }
}

interface Row {
  readonly metrics: Readonly<Record<string, unknown>>
  readonly dimensions: Readonly<Record<string, unknown>>
}

function rowsOf(report: unknown): readonly Row[] {
  if (!Array.isArray(report)) return []
  return report.flatMap((row: unknown) =>
    isRecord(row) && isRecord(row.metrics) && isRecord(row.dimensions)
      ? [{ metrics: row.metrics, dimensions: row.dimensions }]
      : []
  )
}

function addNamespace(usage: TenantUsage, metrics: Readonly<Record<string, unknown>>): void {
  usage.topics += numberOf(metrics.brk_topics) + numberOf(metrics.brk_unloadedTopics)
  usage.storageBytes += numberOf(metrics.brk_storedBytes)
  usage.backlogEntries += numberOf(metrics.brk_backlogEntries)
  usage.backlogBytes += numberOf(metrics.brk_backlogBytes)
  usage.backlogAgeSeconds = Math.max(usage.backlogAgeSeconds, numberOf(metrics.brk_backlogAgeSeconds))
  usage.messagesIn += numberOf(metrics.brk_rateIn)
  usage.messagesOut += numberOf(metrics.brk_rateOut)
  usage.bytesIn += numberOf(metrics.brk_throughputIn)
  usage.bytesOut += numberOf(metrics.brk_throughputOut)
  usage.producers += numberOf(metrics.brk_producers)
  usage.consumers += numberOf(metrics.brk_consumers)
}

function noUsage(tenant: string): TenantUsage {
  return {
    tenant,
    namespaces: 0,
    topics: 0,
    storageBytes: 0,
    backlogEntries: 0,
    backlogBytes: 0,
    backlogAgeSeconds: 0,
    messagesIn: 0,
    messagesOut: 0,
    bytesIn: 0,
    bytesOut: 0,
    producers: 0,
    consumers: 0,
    requests: 0
  }
}

const HEAD = ['tenant', 'topics', 'storage', 'in/s', 'out/s', 'requests/s', 'backlog', 'oldest', 'takes most of']

function rowOf(cost: TenantCost): readonly (string | number)[] {
  const { driver } = cost
  return [
    cost.tenant,
    cost.topics,
    sizeText(cost.storageBytes),
    sizeText(cost.bytesIn),
    sizeText(cost.bytesOut),
    Math.round(cost.requests),
    cost.backlogEntries,
    cost.backlogEntries > 0 ? ageText(cost.backlogAgeSeconds) : '-',
    driver === undefined ? '-' : `${driver} (${Math.round(cost.shares[driver] * 100)} %)`
  ]
}

const UNITS = [
  [86_400, 'd'],
  [3_600, 'h'],
  [60, 'min'],
  [1, 's']
] as const

export function ageText(seconds: number): string {
  const [size, unit] = UNITS.find(([size]) => seconds >= size) ?? [1, 's']
  return `${Math.floor(seconds / size)} ${unit}`
}
