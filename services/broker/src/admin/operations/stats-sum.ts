/*
  Stats of a partitioned topic are those of its partitions added up: counters and rates as sums, times and ages as the
  highest, subscriptions by name.
*/

const HIGHEST = new Set([
  'averageMsgSize',
  'topicCreationTimeStamp',
  'lastPublishTimeStamp',
  'lastExpireTimestamp',
  'lastConsumedFlowTimestamp',
  'lastConsumedTimestamp',
  'lastAckedTimestamp',
  'lastMarkDeleteAdvancedTimestamp',
  'oldestBacklogMessageAgeSeconds',
  'backlogQuotaLimitSize',
  'backlogQuotaLimitTime',
  'earliestMsgPublishTimeInBacklog',
  'earliestMsgPublishTimeInBacklogs'
])

export function addStats(
  a: Readonly<Record<string, unknown>>,
  b: Readonly<Record<string, unknown>>
): Record<string, unknown> {
  const sum: Record<string, unknown> = { ...a }
  for (const [field, value] of Object.entries(b)) sum[field] = addField(field, sum[field], value)
  return sum
}

function addField(field: string, a: unknown, b: unknown): unknown {
  if (a === undefined) return b
  if (typeof a === 'number' && typeof b === 'number') return HIGHEST.has(field) ? Math.max(a, b) : a + b
  if (typeof a === 'boolean' && typeof b === 'boolean') return a || b
  if (field === 'type') return a === 'None' ? b : a
  if (Array.isArray(a) && Array.isArray(b)) return [...(a as unknown[]), ...(b as unknown[])]
  if (field === 'subscriptions') return addSubscriptions(a as StatsByName, b as StatsByName)
  if (field === 'compaction') return addStats(a as Record<string, unknown>, b as Record<string, unknown>)
  return a
}

type StatsByName = Readonly<Record<string, Readonly<Record<string, unknown>>>>

function addSubscriptions(a: StatsByName, b: StatsByName): StatsByName {
  const sum: Record<string, Readonly<Record<string, unknown>>> = { ...a }
  for (const [name, stats] of Object.entries(b)) sum[name] = addStats(sum[name] ?? {}, stats)
  return sum
}
