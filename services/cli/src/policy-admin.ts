import { isRecord, withAdmin, type AdminClient, type AdminFlags } from './admin.ts'
import { allInOrder } from './bounded.ts'
import { usageFailure } from './failure.ts'
import { printJson, printLine, printTable } from './output.ts'
import type { PolicyAccess, PolicyRequest } from './policies/access.ts'
import { accessAt, policyCatalog } from './policies/catalog.ts'
import { withSecretsHidden as hidden } from './secrets.ts'
import { isNamespace, namespacePath, topicPath } from './topic-path.ts'

export interface ReachFlags extends AdminFlags {
  /** Of a topic: what holds in all of its clusters. */
  readonly global?: boolean
}

export interface GetFlags extends ReachFlags {
  readonly applied?: boolean
}

export interface RemoveFlags extends ReachFlags {
  readonly all?: boolean
}

/** What a policy hangs on. */
interface Place {
  readonly kind: 'namespace' | 'topic'
  readonly level: 'onNamespace' | 'onTopic'
  readonly name: string
  readonly path: string
}

const READS_AT_ONCE = 16

/** `tenant/namespace`, or a topic by name, three parts or in full. */
function placeOf(text: string): Place {
  if (isNamespace(text)) {
    return { kind: 'namespace', level: 'onNamespace', name: text, path: `namespaces/${namespacePath(text)}` }
  }
  const { full, path } = topicPath(text)
  return { kind: 'topic', level: 'onTopic', name: full, path }
}

export async function listPolicyNames(flags: { readonly json?: boolean }): Promise<void> {
  const catalog = policyCatalog()
  if (flags.json !== true) {
    const rows = catalog.map(({ name, onNamespace, onTopic }) => [name, onNamespace?.path ?? '-', onTopic?.path ?? '-'])
    printTable(['policy', 'of a namespace', 'of a topic'], rows)
    return
  }
  for (const { name, onNamespace, onTopic } of catalog) {
    await printJson({ policy: name, namespacePath: onNamespace?.path ?? null, topicPath: onTopic?.path ?? null })
  }
}

/** One policy, or all that somebody set; with `--applied` what holds, whoever set it. */
export async function getPolicies(where: string, name: string | undefined, flags: GetFlags): Promise<void> {
  const place = placeOf(where)
  checkReach(place, flags)
  if (name !== undefined) {
    await getPolicy(place, name, flags)
    return
  }
  const found = await withAdmin(flags, admin =>
    allInOrder(policyCatalog(), READS_AT_ONCE, async policy => {
      const level = policy[place.level]
      if (level === undefined) return { policy: policy.name, value: undefined }
      // a server of another release does not have them all
      const value = await admin.find(`${place.path}/${level.path}${queryOf(flags)}`)
      return { policy: policy.name, value: flags.applied === true ? value : whatWasSet(policy, value) }
    })
  )
  const shown = found.filter(({ value }) => value !== undefined && value !== null)
  if (flags.json === true) {
    for (const { policy, value } of shown) await printJson({ [place.kind]: place.name, policy, value: hidden(value) })
    return
  }
  printTable(
    ['policy', 'value'],
    shown.map(({ policy, value }) => [policy, valueText(value)])
  )
}

async function getPolicy(place: Place, name: string, flags: GetFlags): Promise<void> {
  const { path } = accessAt(name, place.level)
  const value = await withAdmin(flags, admin => admin.call('GET', `${place.path}/${path}${queryOf(flags)}`))
  await (flags.json === true
    ? printJson({ [place.kind]: place.name, policy: name, value: hidden(value) ?? null })
    : printLine(valueText(value)))
}

/** Nothing where it is what is shown where nobody set anything. */
function whatWasSet({ unset }: PolicyAccess, value: unknown): unknown {
  return JSON.stringify(value) === JSON.stringify(unset) ? undefined : value
}

export async function setPolicy(
  { where, name }: { where: string; name: string },
  values: readonly string[],
  flags: ReachFlags
): Promise<void> {
  const place = placeOf(where)
  checkReach(place, flags)
  const value = policyValue(values)
  const requests = accessAt(name, place.level).set(value)
  await withAdmin(flags, admin => send(admin, requests, { place, flags }))
  await (flags.json === true
    ? printJson({ [place.kind]: place.name, policy: name, value: hidden(value), set: true })
    : printLine(`set ${name} of ${place.name} to ${valueText(value)}`))
}

export async function removePolicy(where: string, name: string | undefined, flags: RemoveFlags): Promise<void> {
  const place = placeOf(where)
  checkReach(place, flags)
  if ((name === undefined) !== (flags.all === true)) {
    throw usageFailure('name one policy, or give --all: see: strata policies remove --help')
  }
  await withAdmin(flags, async admin => {
    if (name !== undefined) await send(admin, accessAt(name, place.level).remove(), { place, flags })
    else if (place.kind === 'topic') await admin.call('DELETE', `${place.path}/policies`)
    else await removeAllOfNamespace(admin, place)
  })
  const what = name ?? 'all policies'
  await (flags.json === true
    ? printJson({ [place.kind]: place.name, policy: name ?? null, removed: true })
    : printLine(`removed ${what} of ${place.name}`))
}

/** There is no one request for it: those that are set, one by one. */
async function removeAllOfNamespace(admin: AdminClient, place: Place): Promise<void> {
  const document = await admin.call('GET', place.path)
  for (const { name, field, unset } of policyCatalog().filter(policy => policy.onNamespace !== undefined)) {
    const value = field === undefined || !isRecord(document) ? undefined : document[field]
    const isSet = value !== undefined && value !== null && JSON.stringify(value) !== JSON.stringify(unset)
    if (isSet) await send(admin, accessAt(name, place.level).remove(), { place, flags: {} })
  }
}

async function send(
  admin: AdminClient,
  requests: readonly PolicyRequest[],
  { place, flags }: { place: Place; flags: { readonly global?: boolean } }
): Promise<void> {
  for (const { method, path, body } of requests) {
    const query = flags.global === true ? `${path.includes('?') ? '&' : '?'}isGlobal=true` : ''
    await admin.call(method, `${place.path}/${path}${query}`, body)
  }
}

function checkReach(
  place: Place,
  { global, applied }: { readonly global?: boolean; readonly applied?: boolean }
): void {
  if (place.kind === 'topic') return
  if (global === true) throw usageFailure('--global is for topics: what a namespace has holds in all of its clusters')
  if (applied === true) throw usageFailure('--applied is for topics: name one, to see what holds there')
}

function queryOf({ global, applied }: GetFlags): string {
  const query = new URLSearchParams({
    ...(applied === true ? { applied: 'true' } : {}),
    ...(global === true ? { isGlobal: 'true' } : {})
  }).toString()
  return query === '' ? '' : `?${query}`
}

/** JSON as it is; `key=value` words as an object; anything else as a text. */
export function policyValue(values: readonly string[]): unknown {
  const isFields = values.every(word => /^[A-Za-z_]\w*=/.test(word))
  if (isFields) {
    return Object.fromEntries(
      values.map(word => [word.slice(0, word.indexOf('=')), oneValue(word.slice(word.indexOf('=') + 1))])
    )
  }
  if (values.length === 1) return oneValue(values[0] ?? '')
  throw usageFailure('write the value as one word of JSON, as a text, or as key=value words')
}

function oneValue(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}

function valueText(value: unknown): string {
  if (value === undefined || value === null) return 'not set'
  return typeof value === 'string' ? value : JSON.stringify(hidden(value))
}
