// Answers as they are compared: without what no two servers have in common.

export interface Answer {
  readonly status: number
  /** Media type, in lower case; absent where there is no body. */
  readonly type?: string
  /** Names of Pulsar's own headers. */
  readonly headers?: readonly string[]
  /** JSON, or a text; absent where there is none. */
  readonly body?: unknown
}

/** Measures, times and identities: that they are there, and of which type, is compared. */
const VOLATILE: ReadonlySet<string> = new Set([
  ...[
    'address',
    'averageMsgSize',
    'avgMessagesPerEntry',
    'backlogSize',
    'brokerId',
    'brokerName',
    'bytesInCounter',
    'bytesOutCounter'
  ],
  ...['clientVersion', 'connectedSince', 'creationDate', 'creationTimestamp', 'currentLedgerSize', 'cursorLedger'],
  ...[
    'cursorLedgerLastEntry',
    'cursorsLedgerId',
    'earliestMsgPublishTimeInBacklogs',
    'earliestMsgPublishTimeInBacklog'
  ],
  ...['lastAckedTimestamp', 'lastConsumedFlowTimestamp', 'lastConsumedTimestamp', 'lastExpireTimestamp'],
  ...['lastLedgerCreatedTimestamp', 'lastLedgerCreationFailureTimestamp', 'lastLedgerSwitchTimestamp'],
  ...[
    'lastMarkDeleteAdvancedTimestamp',
    'lastPublishTimeStamp',
    'lastPublishTimestamp',
    'lastUpdatedTimestamp',
    'ledgerId',
    'mostSigBits'
  ],
  ...['modificationDate', 'producerName', 'size', 'storageSize', 'timestamp', 'topicCreationTimeStamp', 'totalSize'],
  ...['backlogQuotaLimitSize', 'backlogQuotaLimitTime', 'oldestBacklogMessageAgeSeconds', 'onDemandTimestamp'],
  ...[
    'ownerBroker',
    'statGeneratedAt',
    'partitionName',
    'lastTimestamp',
    'firstMessageId',
    'lastMessageId',
    'version',
    'bitsetCount'
  ]
])
const RATES = /^(msg|message|chunkedMessage)(Rate|Throughput|AckRate|Drop)\w*$|^msgRate|^publishRateLimitedTimes$/
const TIME = /^\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:?\d\d)$/

/** Words of a JSON parser: that the body was refused is compared, not how the parser puts it. */
const PARSER =
  /Unrecognized token|Unexpected (end-of-input|character|close)|Cannot (deserialize|construct|coerce)|\[Source: |Unrecognized field|not a valid|Malformed/

/** A failure that Pulsar tells in the words of its machine: that it is one, and its status, is compared. */
const MACHINE = /\bjava\.\w+\.[\w.]*Exception|\bCannot (invoke|read field) "|\borg\.apache\.pulsar\.[\w.$]*Exception/

/** @param typed Show volatile values by their type alone. */
export function normal(
  response: { status: number; type: string; headers: readonly string[]; text: string },
  isMeasured: boolean
): Answer {
  const { status, headers, text } = response
  if (text === '') return { status }
  const type = response.type.toLowerCase().replaceAll(/\s/g, '')
  const body = status === 400 && type.startsWith('text/plain') ? '<words of a parser>' : bodyOf(text)
  return {
    status,
    ...(type === '' ? {} : { type }),
    ...(headers.length === 0 ? {} : { headers: [...headers].sort() }),
    body: isMeasured ? shapeOf(body) : normalValue(body, '')
  }
}

function bodyOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}

function normalValue(value: unknown, key: string): unknown {
  if (Array.isArray(value)) {
    const all = value.filter(item => !isOfAnotherRun(item)).map(item => normalValue(item, key))
    return all.every(item => typeof item === 'string') ? all.sort() : all
  }
  if (typeof value === 'object' && value !== null) {
    const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
    return Object.fromEntries(fields.map(([name, field]) => [normalText(name), normalValue(field, name)]))
  }
  if (value !== null && (VOLATILE.has(key) || RATES.test(key))) return `<${typeof value}>`
  return typeof value === 'string' ? normalText(value) : value
}

/** A tenant of a run before, on a server that was asked twice. */
function isOfAnotherRun(item: unknown): boolean {
  return typeof item === 'string' && /^conf[0-9a-f]{6}$/.test(item)
}

function normalText(text: string): string {
  if (TIME.test(text)) return '<time>'
  if (PARSER.test(text)) return '<words of a parser>'
  return text
    .replace(/^\s*--- An unexpected error occurred[\s\S]*$/, '<stack trace>')
    .replaceAll(/\b(localhost|127\.0\.0\.1|[\w-]+\.local(domain)?|[0-9a-f]{12}|vm):\d{2,5}\b/g, '<address>')
    .replaceAll(/\b\d+:(-?\d+)\b/g, '<ledger>:$1')
    .replaceAll(/\bat \d{4}-\d\d-\d\d\S*/g, 'at <time>')
    .replaceAll(/\b(publish ?time:[ [])\d+/gi, '$1<time>')
}

/** Names of what is there on a server just now: namespaces, bundles, topics. */
const NAMES = /^[\w-]+\/[\w.:-]+$|^0x[0-9a-f]{8}_0x[0-9a-f]{8}$|:\/\//

/** Maps by names that clients choose. */
const NAMED: ReadonlySet<string> = new Set(['replication', 'subscriptions'])

/** Only names and types: for what measures a process. */
function shapeOf(value: unknown, isNamed = false): unknown {
  if (Array.isArray(value)) return value.length === 0 ? [] : [shapeOf(value[0])]
  if (typeof value !== 'object' || value === null) return `<${value === null ? 'null' : typeof value}>`
  const shapes: Record<string, unknown> = {}
  for (const [name, field] of Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const key = isNamed || NAMES.test(name) ? '<name>' : normalText(name)
    const shape = shapeOf(field, NAMED.has(name))
    shapes[key] = key in shapes ? merged(shapes[key], shape) : shape
  }
  return shapes
}

/** What either of two shapes has. */
function merged(one: unknown, other: unknown): unknown {
  if (Array.isArray(one) && Array.isArray(other)) {
    const [first, second] = [one[0] as unknown, other[0] as unknown]
    return first === undefined ? other : second === undefined ? one : [merged(first, second)]
  }
  if (!isFields(one) || !isFields(other)) return one
  const both = { ...one }
  for (const [name, shape] of Object.entries(other)) both[name] = name in both ? merged(both[name], shape) : shape
  return Object.fromEntries(Object.entries(both).sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** Where two answers part, a line each; empty: alike. */
export function differences(expected: Answer, found: Answer): string[] {
  const lines: string[] = []
  if (expected.status !== found.status) lines.push(`status ${expected.status} ≠ ${found.status}`)
  if ((expected.type ?? '') !== (found.type ?? '')) lines.push(`type ${expected.type ?? '-'} ≠ ${found.type ?? '-'}`)
  compare(expected.headers ?? [], found.headers ?? [], 'headers', lines)
  compare(expected.body, found.body, 'body', lines)
  return lines
}

function compare(expected: unknown, found: unknown, path: string, lines: string[]): void {
  if (isFields(expected) && isFields(found)) {
    for (const name of new Set([...Object.keys(expected), ...Object.keys(found)])) {
      compare(expected[name], found[name], `${path}.${name}`, lines)
    }
    return
  }
  if (Array.isArray(expected) && Array.isArray(found) && expected.length === found.length) {
    for (const [index, item] of expected.entries()) compare(item, found[index], `${path}[${index}]`, lines)
    return
  }
  if (JSON.stringify(expected) === JSON.stringify(found)) return
  if (typeof expected === 'string' && MACHINE.test(expected) && typeof found === 'string' && found !== '') return
  lines.push(`${path} ${inShort(expected)} ≠ ${inShort(found)}`)
}

function isFields(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function inShort(value: unknown): string {
  const text = value === undefined ? 'absent' : JSON.stringify(value)
  return text.length > 200 ? `${text.slice(0, 200)}…` : text
}
