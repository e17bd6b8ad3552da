import { isRecord, isRefusal, PARTITIONED_TOPIC_TYPE, textsOf, type AdminClient } from '../admin.ts'
import { CommandFailure } from '../failure.ts'
import { accessAt } from '../policies/catalog.ts'
import { keepingSecrets } from '../secrets.ts'
import { namespacePath, topicPath } from '../topic-path.ts'
import { isSame, type Section, type Thing } from './document.ts'
import type { Change, FieldChange } from './plan.ts'

export interface ApplyOptions {
  /** Where subscriptions begin that are made. */
  readonly subscriptionsFrom: 'earliest' | 'latest'
}

type Apply = (admin: AdminClient, change: Change, options: ApplyOptions) => Promise<void>

/** Makes one thing what the change says. Repeating it is harmless. @throws CommandFailure with the server's reason */
export async function applyChange(admin: AdminClient, change: Change, options: ApplyOptions): Promise<void> {
  await APPLY[change.section](admin, change, options)
}

const APPLY: Readonly<Record<Section, Apply>> = {
  clusters: applyCluster,
  resourceGroups: applyResourceGroup,
  brokers: applyBrokers,
  tenants: applyTenant,
  namespaces: applyNamespace,
  topics: applyTopic
}

async function applyCluster(admin: AdminClient, { sign, name, fields, want, have }: Change): Promise<void> {
  const path = `clusters/${encodeURIComponent(name)}`
  if (sign === '-') {
    await admin.call('DELETE', path)
    return
  }
  const { failureDomains: _domains, isolationPolicies: _policies, ...info } = want
  const raw = await admin.find(path)
  const gone = new Set(fields.flatMap(({ sign: each, name: field }) => (each === '-' ? [field] : [])))
  // secrets, which no file has, stay what they are
  const kept = Object.entries(isRecord(raw) ? raw : {}).filter(([field]) => !gone.has(field))
  const isInfo = fields.some(({ field }) => field.path.length === 1)
  if (isInfo || Object.keys(have).length === 0) {
    await admin.call(raw === undefined ? 'PUT' : 'POST', path, { ...Object.fromEntries(kept), ...info })
  }
  await each(fields, 'failureDomains', (key, value) => keep(admin, `${path}/failureDomains/${key}`, value))
  await each(fields, 'isolationPolicies', (key, value) =>
    keep(admin, `${path}/namespaceIsolationPolicies/${key}`, value)
  )
}

const NO_LIMIT = -1

async function applyResourceGroup(admin: AdminClient, { sign, name, fields, want }: Change): Promise<void> {
  const path = `resourcegroups/${encodeURIComponent(name)}`
  if (sign === '-') {
    await admin.call('DELETE', path)
    return
  }
  // what is left out stays as it is
  const gone = fields.flatMap(({ sign: each, name: rate }) => (each === '-' ? [[rate, NO_LIMIT] as const] : []))
  await admin.call('PUT', path, { ...want, ...Object.fromEntries(gone) })
}

async function applyBrokers(admin: AdminClient, { fields }: Change): Promise<void> {
  await each(fields, 'configuration', (key, value) =>
    value === undefined
      ? admin.call('DELETE', `brokers/configuration/${key}`)
      : admin.call('POST', `brokers/configuration/${key}/${encodeURIComponent(textOf(value))}`)
  )
}

async function applyTenant(admin: AdminClient, { sign, name, fields, want, have }: Change): Promise<void> {
  const path = `tenants/${encodeURIComponent(name)}`
  if (sign === '-') {
    await admin.call('DELETE', path)
    return
  }
  const isGone = (field: string): boolean => fields.some(change => change.sign === '-' && change.name === field)
  const listOf = (field: string): string[] => textsOf(want[field] ?? (isGone(field) ? [] : have[field]))
  const body = { adminRoles: listOf('adminRoles'), allowedClusters: listOf('allowedClusters') }
  await admin.call(sign === '+' ? 'PUT' : 'POST', path, body)
}

async function applyNamespace(admin: AdminClient, { sign, name, fields, want }: Change): Promise<void> {
  const path = `namespaces/${namespacePath(name)}`
  if (sign === '-') {
    await admin.call('DELETE', path)
    return
  }
  if (sign === '+') {
    const { bundles, replicationClusters } = want
    await admin.call('PUT', path, {
      ...(bundles === undefined ? {} : { bundles: { numBundles: bundles } }),
      ...(replicationClusters === undefined ? {} : { replication_clusters: replicationClusters })
    })
  } else {
    const clusters = fields.find(({ name: field }) => field === 'replicationClusters')
    if (clusters !== undefined) await admin.call('POST', `${path}/replication`, valueOf(clusters) ?? [])
  }
  await applyPolicies(admin, path, fields, 'onNamespace')
  await each(fields, 'grants', (role, actions) => keep(admin, `${path}/permissions/${role}`, actions))
  for (const change of fieldsIn(fields, 'subscriptionGrants')) {
    const subscription = encodeURIComponent(change.field.path[1] ?? '')
    const wanted = textsOf(valueOf(change))
    for (const role of textsOf(change.before).filter(each => !wanted.includes(each))) {
      await admin.call('DELETE', `${path}/permissions/${subscription}/${encodeURIComponent(role)}`)
    }
    if (wanted.length > 0) await admin.call('POST', `${path}/permissions/subscription/${subscription}`, wanted)
  }
}

async function applyTopic(admin: AdminClient, change: Change, options: ApplyOptions): Promise<void> {
  const { sign, name, fields, want } = change
  const { path } = topicPath(name)
  if (sign === '-') {
    await deleteTopic(admin, path)
    return
  }
  if (sign === '+') await createTopic(admin, path, want)
  else await growTopic(admin, path, change)
  await applyPolicies(admin, path, fields, 'onTopic')
  await each(fields, 'grants', (role, actions) => keep(admin, `${path}/permissions/${role}`, actions))
  await applySubscriptions(admin, path, { fields, options })
  const schemas = fields.find(({ name: field }) => field === 'schemas')
  if (schemas !== undefined) await applySchemas(admin, path, { schemas, want })
  if (sign === '~') await applyProperties(admin, path, fields)
}

async function deleteTopic(admin: AdminClient, path: string): Promise<void> {
  const metadata = await admin.find(`${path}/partitions`)
  const isPartitioned = isRecord(metadata) && Number(metadata.partitions) > 0
  await admin.call('DELETE', `${path}${isPartitioned ? '/partitions' : ''}`)
}

async function createTopic(admin: AdminClient, path: string, { partitions, properties }: Thing): Promise<void> {
  try {
    if (partitions === undefined) await admin.call('PUT', path, properties ?? {})
    else if (properties === undefined) await admin.call('PUT', `${path}/partitions`, partitions)
    else await admin.call('PUT', `${path}/partitions`, { partitions, properties }, PARTITIONED_TOPIC_TYPE)
  } catch (error) {
    // it was made meanwhile, by use or by a run that was broken off
    if (!isRefusal(error, 409)) throw error
  }
}

async function growTopic(admin: AdminClient, path: string, { fields, name }: Change): Promise<void> {
  const change = fields.find(({ name: field }) => field === 'partitions')
  if (change === undefined) return
  if (change.sign !== '~' || Number(change.field.value) < Number(change.before)) {
    const [from, to] = [Number(change.before ?? 0), Number(valueOf(change) ?? 0)]
    throw new CommandFailure(`${name} cannot go from ${from} to ${to} partitions: delete it first, or change the file`)
  }
  await admin.call('POST', `${path}/partitions`, change.field.value)
}

async function applyProperties(admin: AdminClient, path: string, fields: readonly FieldChange[]): Promise<void> {
  const set = fieldsIn(fields, 'properties').filter(({ sign }) => sign !== '-')
  if (set.length > 0) {
    const properties = Object.fromEntries(set.map(({ field }) => [field.path[1] ?? '', field.value]))
    await admin.call('PUT', `${path}/properties`, properties)
  }
  for (const { field, sign } of fieldsIn(fields, 'properties')) {
    if (sign === '-') await admin.call('DELETE', `${path}/properties?key=${encodeURIComponent(field.path[1] ?? '')}`)
  }
}

const START_OF = { earliest: { ledgerId: -1, entryId: -1, partitionIndex: -1 }, latest: {} } as const

async function applySubscriptions(
  admin: AdminClient,
  topic: string,
  { fields, options }: { fields: readonly FieldChange[]; options: ApplyOptions }
): Promise<void> {
  for (const { sign, field } of fieldsIn(fields, 'subscriptions')) {
    const path = `${topic}/subscription/${encodeURIComponent(field.path[1] ?? '')}`
    const { properties, isReplicated } = isRecord(field.value) ? field.value : {}
    if (sign === '-') await admin.call('DELETE', path)
    else if (sign === '~') await admin.call('PUT', `${path}/properties`, properties ?? {})
    else {
      const replicated = isReplicated === true ? '?replicated=true' : ''
      const body = { ...START_OF[options.subscriptionsFrom], ...(properties === undefined ? {} : { properties }) }
      await admin.call('PUT', `${path}${replicated}`, Object.keys(body).length > 0 ? body : undefined)
    }
  }
}

/**
 * Versions come one after another and never go singly: where those that are there are not the first of those that are wanted, all go
 * first, which is for `--prune` to allow.
 */
async function applySchemas(
  admin: AdminClient,
  topic: string,
  { schemas, want }: { schemas: FieldChange; want: Thing }
): Promise<void> {
  const path = `schemas/${topic.replace(/^[^/]+\//, '')}/schema`
  const before = Array.isArray(schemas.before) ? (schemas.before as unknown[]) : []
  const wanted = schemas.sign === '-' ? [] : (schemas.field.value as unknown[])
  const isContinued = before.every((version, at) => isSame(version, wanted[at]))
  if (!isContinued && wanted.length > 0) {
    throw new CommandFailure('its schemas are others than the file has: delete them with `strata schemas delete` first')
  }
  if (wanted.length === 0) await admin.call('DELETE', path)
  const policies = isRecord(want.policies) ? want.policies : {}
  for (const version of wanted.slice(before.length)) {
    const body = { properties: {}, schema: '', ...(isRecord(version) ? version : {}) }
    try {
      await admin.call('POST', path, body)
    } catch (error) {
      if (!isRefusal(error, 409)) throw error
      // it was taken under another strategy than the one that holds now
      await freely(admin, { topic, strategy: policies.schemaCompatibilityStrategy }, () =>
        admin.call('POST', path, body)
      )
    }
  }
}

/** With every schema allowed on the topic; then what holds there is what it was. */
async function freely(
  admin: AdminClient,
  { topic, strategy }: { topic: string; strategy: unknown },
  run: () => Promise<unknown>
): Promise<void> {
  const { path } = accessAt('schemaCompatibilityStrategy', 'onTopic')
  await admin.call('PUT', `${topic}/${path}`, 'ALWAYS_COMPATIBLE')
  try {
    await run()
  } finally {
    if (strategy === undefined) await admin.call('DELETE', `${topic}/${path}`)
    else await admin.call('PUT', `${topic}/${path}`, strategy)
  }
}

async function applyPolicies(
  admin: AdminClient,
  path: string,
  fields: readonly FieldChange[],
  level: 'onNamespace' | 'onTopic'
): Promise<void> {
  for (const change of fields) {
    const [map, policy = ''] = change.field.path
    if (map !== 'policies' && map !== 'globalPolicies') continue
    const access = accessAt(policy, level)
    const inReach = (last: string): string =>
      `${path}/${last}${map === 'policies' ? '' : `${last.includes('?') ? '&' : '?'}isGlobal=true`}`
    const isEdit = change.sign === '~' && isRecord(change.field.value)
    const value = isEdit
      ? keepingSecrets(change.field.value, await admin.find(inReach(access.path)))
      : change.field.value
    const requests = change.sign === '-' ? access.remove() : access.set(value)
    for (const { method, path: last, body } of requests) await admin.call(method, inReach(last), body)
  }
}

function fieldsIn(fields: readonly FieldChange[], map: string): FieldChange[] {
  return fields.filter(({ field }) => field.path[0] === map)
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** Undefined for what goes. */
function valueOf({ sign, field }: FieldChange): unknown {
  return sign === '-' ? undefined : field.value
}

/** Each fact of a map with its key, encoded for a path. */
async function each(
  fields: readonly FieldChange[],
  map: string,
  run: (key: string, value: unknown) => Promise<unknown>
): Promise<void> {
  for (const change of fieldsIn(fields, map)) await run(encodeURIComponent(change.field.path[1] ?? ''), valueOf(change))
}

async function keep(admin: AdminClient, path: string, value: unknown): Promise<void> {
  await (value === undefined ? admin.call('DELETE', path) : admin.call('POST', path, value))
}
