import { isRecord, numberOf, textsOf, withAdmin, type AdminClient, type AdminFlags } from './admin.ts'
import { destroy, type Destruction, type DestroyFlags } from './destruction.ts'
import { CommandFailure } from './failure.ts'
import { printJson, printLine } from './output.ts'
import type { StartPosition } from './start-position.ts'
import { printSubscriptions } from './subscription-view.ts'
import { topicPath } from './topic-path.ts'

export interface CreateFlags extends AdminFlags {
  readonly from: StartPosition
  readonly property: Readonly<Record<string, string>>
}

export interface DeleteFlags extends AdminFlags, DestroyFlags {
  readonly force?: boolean
}

export type ClearFlags = AdminFlags & DestroyFlags

export interface SkipFlags extends AdminFlags {
  readonly count: number
}

export interface ExpireFlags extends AdminFlags {
  readonly olderThan: number
}

export interface SeekFlags extends AdminFlags {
  readonly to: StartPosition
}

interface Target {
  readonly topic: string
  readonly name: string
}

function subscriptionPath({ topic, name }: Target): string {
  return `${topicPath(topic).path}/subscription/${encodeURIComponent(name)}`
}

export async function listSubscriptions(topic: string, flags: AdminFlags): Promise<void> {
  const { full, path } = topicPath(topic)
  const names = textsOf(await withAdmin(flags, admin => admin.call('GET', `${path}/subscriptions`)))
  for (const subscription of names.sort()) {
    await (flags.json === true ? printJson({ topic: full, subscription }) : printLine(subscription))
  }
}

export async function createSubscription(target: Target, flags: CreateFlags): Promise<void> {
  const path = subscriptionPath(target)
  const { from, property } = flags
  await withAdmin(flags, async admin => {
    const messageId = from.kind === 'earliest' || from.kind === 'id' ? idBody(from) : undefined
    const hasProperties = Object.keys(property).length > 0
    await admin.call('PUT', path, hasProperties ? { ...messageId, properties: property } : messageId)
    // only an existing subscription can be moved to a time
    if (from.kind === 'time') await admin.call('POST', `${path}/resetcursor/${Math.trunc(from.atMs)}`)
  })
  await say(target, flags, 'created')
}

function idBody(from: StartPosition & { kind: 'earliest' | 'id' }): Record<string, number> {
  if (from.kind === 'earliest') return { ledgerId: -1, entryId: -1, partitionIndex: -1 }
  const { ledgerId, entryId, partition, batchIndex } = from
  return { ledgerId, entryId, partitionIndex: partition, ...(batchIndex < 0 ? {} : { batchIndex }) }
}

export async function deleteSubscription(target: Target, flags: DeleteFlags): Promise<void> {
  const force = flags.force === true ? '?force=true' : ''
  await withAdmin(flags, admin =>
    destroy(flags, {
      ...destructionOf(admin, target),
      done: 'deleted',
      run: () => admin.call('DELETE', `${subscriptionPath(target)}${force}`)
    })
  )
}

export async function skipMessages(target: Target, flags: SkipFlags): Promise<void> {
  await withAdmin(flags, admin => admin.call('POST', `${subscriptionPath(target)}/skip/${flags.count}`))
  await say(target, flags, 'skipped')
}

export async function clearBacklog(target: Target, flags: ClearFlags): Promise<void> {
  await withAdmin(flags, admin =>
    destroy(flags, {
      ...destructionOf(admin, target),
      done: 'cleared',
      run: () => admin.call('POST', `${subscriptionPath(target)}/skip_all`)
    })
  )
}

/** What goes with a subscription: the messages that it has before it. */
function destructionOf(admin: AdminClient, { topic, name }: Target): Pick<Destruction, 'what' | 'record' | 'loss'> {
  const { full } = topicPath(topic)
  return {
    what: `subscription ${name} of ${full}`,
    record: { topic: full, subscription: name },
    loss: async () => {
      const all = await subscriptionsIn(admin, topic)
      const one = all[name]
      if (one === undefined) throw noSubscription({ topic, name })
      return { messages: isRecord(one) ? numberOf(one.msgBacklog) : 0 }
    }
  }
}

export async function expireMessages(target: Target, flags: ExpireFlags): Promise<void> {
  const seconds = Math.ceil(flags.olderThan / 1000)
  await withAdmin(flags, admin => admin.call('POST', `${subscriptionPath(target)}/expireMessages/${seconds}`))
  await say(target, flags, 'expired')
}

export async function seekSubscription(target: Target, flags: SeekFlags): Promise<void> {
  await withAdmin(flags, admin => seek(admin, subscriptionPath(target), flags.to))
  await say(target, flags, 'moved')
}

/** To both ends in the ways that partitioned topics take as well. */
async function seek(admin: AdminClient, path: string, to: StartPosition): Promise<void> {
  if (to.kind === 'latest') await admin.call('POST', `${path}/skip_all`)
  else if (to.kind === 'id') await admin.call('POST', `${path}/resetcursor`, idBody(to))
  else await admin.call('POST', `${path}/resetcursor/${to.kind === 'time' ? Math.trunc(to.atMs) : 0}`)
}

export async function subscriptionStats(
  { topic, name }: { topic: string; name: string | undefined },
  flags: AdminFlags
): Promise<void> {
  const { full } = topicPath(topic)
  const all = await withAdmin(flags, admin => subscriptionsIn(admin, topic))
  const shown = name === undefined ? all : { [name]: all[name] }
  if (name !== undefined && all[name] === undefined) throw noSubscription({ topic, name })
  if (flags.json !== true) {
    printSubscriptions(shown)
    return
  }
  for (const [subscription, value] of Object.entries(shown)) {
    await printJson({ topic: full, subscription, ...(isRecord(value) ? value : {}) })
  }
}

async function subscriptionsIn(admin: AdminClient, topic: string): Promise<Record<string, unknown>> {
  const { path } = topicPath(topic)
  const metadata = await admin.call('GET', `${path}/partitions`)
  const isPartitioned = isRecord(metadata) && numberOf(metadata.partitions) > 0
  const stats = await admin.call('GET', `${path}/${isPartitioned ? 'partitioned-stats' : 'stats'}`)
  return isRecord(stats) && isRecord(stats.subscriptions) ? stats.subscriptions : {}
}

function noSubscription({ topic, name }: Target): CommandFailure {
  const advice = `see those it has with: strata subscriptions list ${topic}`
  return new CommandFailure(`${topicPath(topic).full} has no subscription ${name}: ${advice}`)
}

async function say({ topic, name }: Target, flags: AdminFlags, done: string): Promise<void> {
  const { full } = topicPath(topic)
  await (flags.json === true
    ? printJson({ topic: full, subscription: name, [done]: true })
    : printLine(`${done} ${name} of ${full}`))
}
