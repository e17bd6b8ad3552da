import { isMap, isScalar, LineCounter, parseDocument, type Document, type Node } from 'yaml'
import { isRecord } from '../admin.ts'
import { CommandFailure, EXIT } from '../failure.ts'
import { policyCatalog } from '../policies/catalog.ts'
import { FORMAT, SECTIONS, type ClusterDocument, type Section, type Thing } from './document.ts'

const PROBLEMS_SHOWN_MAX = 20

/** Why a value is wrong; undefined where it is right. */
type Check = (value: unknown) => string | undefined

/**
 * Reads the text of a cluster, which people edit: everything that is wrong is told, each with its line and field.
 * @throws CommandFailure
 */
export function parseCluster(text: string, file: string): ClusterDocument {
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines })
  const at = (offset: number): string => `${file}:${lines.linePos(offset).line}`
  const problems = document.errors.map(
    ({ pos, message }) => `${at(pos[0])}: ${(message.split('\n')[0] ?? '').replace(/ at line .*$/, '')}`
  )
  if (problems.length === 0) {
    for (const { path, problem } of problemsOf(document.toJS())) {
      problems.push(`${at(offsetOf(document, path))}: ${path.join('.') || 'the file'}: ${problem}`)
    }
  }
  if (problems.length > 0) throw unreadable(problems)
  return documentOf(document.toJS())
}

function unreadable(problems: readonly string[]): CommandFailure {
  const shown = problems.slice(0, PROBLEMS_SHOWN_MAX)
  const more = problems.length - shown.length
  const rest = more > 0 ? [`and ${more} more`] : []
  return new CommandFailure([...shown, ...rest, 'nothing was changed: mend the file'].join('\n'), {
    exitCode: EXIT.usage
  })
}

interface Problem {
  readonly path: readonly string[]
  readonly problem: string
}

/** Where the value of a path begins; of its key, where the value is not in the text. */
function offsetOf(document: Document, path: readonly string[]): number {
  for (let length = path.length; length > 0; length--) {
    const parent = length === 1 ? document.contents : document.getIn(path.slice(0, length - 1), true)
    const pair = isMap(parent)
      ? parent.items.find(({ key }) => isScalar(key) && String(key.value) === path[length - 1])
      : undefined
    const start = (pair?.key as Node | undefined)?.range?.[0]
    if (start !== undefined) return start
  }
  return 0
}

function problemsOf(value: unknown): Problem[] {
  if (!isRecord(value)) return [{ path: [], problem: 'must be a map of sections, as `strata cluster dump` writes it' }]
  const problems: Problem[] = []
  if (value.format !== FORMAT) problems.push({ path: ['format'], problem: `must be ${FORMAT}` })
  for (const [section, things] of Object.entries(value)) {
    if (section === 'format') continue
    if (!isSection(section)) {
      problems.push({ path: [section], problem: `there is no such section; there are ${SECTIONS.join(', ')}` })
    } else if (!isRecord(things)) problems.push({ path: [section], problem: 'must be a map' })
    else for (const [name, thing] of Object.entries(things)) problems.push(...problemsOfThing(section, name, thing))
  }
  return problems
}

function problemsOfThing(section: Section, name: string, thing: unknown): Problem[] {
  const path = [section, name]
  const wrongName = NAMES[section](name)
  if (wrongName !== undefined) return [{ path, problem: wrongName }]
  if (!isRecord(thing)) return [{ path, problem: 'must be a map; {} where there is nothing to say' }]
  const checks = FIELDS[section]
  return Object.entries(thing).flatMap(([field, value]) => {
    const check = checks?.[field]
    // what clusters and resource groups have is for the server to say
    if (check === undefined && section !== 'clusters' && section !== 'resourceGroups') {
      const known = Object.keys(checks ?? {}).join(', ')
      return [{ path: [...path, field], problem: `there is no such field; there are ${known}` }]
    }
    return check === undefined ? [] : problemsOfField([...path, field], value, check)
  })
}

/** A check that is one of the members of a map tells of each. */
function problemsOfField(path: readonly string[], value: unknown, check: Check | MapCheck): Problem[] {
  if (typeof check === 'function') {
    const problem = check(value)
    return problem === undefined ? [] : [{ path, problem }]
  }
  if (!isRecord(value)) return [{ path, problem: 'must be a map' }]
  return Object.entries(value).flatMap(([key, each]) => {
    const problem = check.key?.(key) ?? check.value(each)
    return problem === undefined ? [] : [{ path: [...path, key], problem }]
  })
}

interface MapCheck {
  readonly key?: (key: string) => string | undefined
  readonly value: Check
}

const text: Check = value => (typeof value === 'string' ? undefined : 'must be a text')
const record: Check = value => (isRecord(value) ? undefined : 'must be a map')
const texts: Check = value =>
  Array.isArray(value) && value.every(each => typeof each === 'string') ? undefined : 'must be a list of texts'
const positive: Check = value =>
  Number.isSafeInteger(value) && (value as number) > 0 ? undefined : 'must be a whole number above 0'
const given: Check = value =>
  value === null || value === undefined ? 'must have a value; leave it out to unset it' : undefined

const subscription: Check = value => {
  if (!isRecord(value)) return 'must be a map; {} where there is nothing to say'
  const { properties = {}, isReplicated = false, ...others } = value
  const [other] = Object.keys(others)
  if (other !== undefined) return `there is no such field: ${other}; there are properties, isReplicated`
  if (typeof isReplicated !== 'boolean') return 'isReplicated must be true or false'
  return isRecord(properties) && Object.values(properties).every(each => typeof each === 'string')
    ? undefined
    : 'properties must be a map of texts'
}

const schemas: Check = value => {
  const isSchema = (each: unknown): boolean => isRecord(each) && typeof each.type === 'string'
  return Array.isArray(value) && value.every(isSchema) ? undefined : 'must be a list of schemas, each with its type'
}

const ACTIONS = ['produce', 'consume', 'functions', 'sources', 'sinks', 'packages']
const actions: Check = value =>
  Array.isArray(value) && value.every(each => ACTIONS.includes(String(each)))
    ? undefined
    : `must be a list of actions: ${ACTIONS.join(', ')}`

function policyNames(level: 'onNamespace' | 'onTopic'): (key: string) => string | undefined {
  let known: ReadonlySet<string> | undefined
  return key => {
    known ??= new Set(policyCatalog().flatMap(policy => (policy[level] === undefined ? [] : [policy.name])))
    return known.has(key) ? undefined : 'there is no such policy here: see `strata policies names`'
  }
}

const FIELDS: Readonly<Record<Section, Readonly<Record<string, Check | MapCheck>> | undefined>> = {
  clusters: { failureDomains: { value: record }, isolationPolicies: { value: record } },
  resourceGroups: undefined,
  brokers: { configuration: { value: text } },
  tenants: { adminRoles: texts, allowedClusters: texts },
  namespaces: {
    bundles: positive,
    replicationClusters: texts,
    policies: { key: policyNames('onNamespace'), value: given },
    grants: { value: actions },
    subscriptionGrants: { value: texts }
  },
  topics: {
    partitions: positive,
    properties: { value: text },
    policies: { key: policyNames('onTopic'), value: given },
    globalPolicies: { key: policyNames('onTopic'), value: given },
    grants: { value: actions },
    subscriptions: { value: subscription },
    schemas
  }
}

const word = (name: string): string | undefined => (/^[^/]+$/.test(name) ? undefined : 'must be a name')

const NAMES: Readonly<Record<Section, (name: string) => string | undefined>> = {
  clusters: word,
  resourceGroups: word,
  brokers: name => (name === 'all' ? undefined : 'must be all: settings are of all brokers'),
  tenants: word,
  namespaces: name => (/^[^/]+\/[^/]+$/.test(name) ? undefined : 'must be tenant/namespace'),
  topics: name =>
    /^(non-)?persistent:\/\/[^/]+\/[^/]+\/.+$/s.test(name) ? undefined : 'must be persistent://tenant/namespace/name'
}

function isSection(name: string): name is Section {
  return SECTIONS.some(section => section === name)
}

/** Of a value that was checked. */
function documentOf(value: unknown): ClusterDocument {
  const sections = isRecord(value) ? value : {}
  return Object.fromEntries(
    SECTIONS.flatMap(section => {
      const things = sections[section]
      return isRecord(things) ? [[section, new Map(Object.entries(things) as [string, Thing][])] as const] : []
    })
  )
}
