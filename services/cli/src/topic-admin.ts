import {
  isRecord,
  numberOf,
  PARTITIONED_TOPIC_TYPE,
  textsOf,
  withAdmin,
  type AdminClient,
  type AdminFlags
} from './admin.ts'
import { destroy, type DestroyFlags, type Loss } from './destruction.ts'
import { lossOfTopics } from './loss.ts'
import { printFields, printJson, printLine } from './output.ts'
import { printSubscriptions } from './subscription-view.ts'
import { namespacePath, topicPath, type TopicPath } from './topic-path.ts'

export interface CreateFlags extends AdminFlags {
  readonly partitions?: number
  readonly property: Readonly<Record<string, string>>
}

export interface DeleteFlags extends AdminFlags, DestroyFlags {
  readonly force?: boolean
}

export type TruncateFlags = AdminFlags & DestroyFlags

export interface ListFlags extends AdminFlags {
  readonly partitioned?: boolean
}

export interface StatsFlags extends AdminFlags {
  readonly internal?: boolean
}

export interface PartitionFlags extends AdminFlags {
  readonly set?: number
}

export async function listTopics(namespace: string, flags: AdminFlags & ListFlags): Promise<void> {
  const path = namespacePath(namespace)
  await withAdmin(flags, async admin => {
    const found =
      flags.partitioned === true
        ? [
            ...textsOf(await admin.call('GET', `persistent/${path}/partitioned`)),
            ...textsOf(await admin.call('GET', `non-persistent/${path}/partitioned`))
          ]
        : textsOf(await admin.call('GET', `namespaces/${path}/topics?mode=ALL`))
    for (const topic of found.sort()) await (flags.json === true ? printJson({ topic }) : printLine(topic))
  })
}

export async function createTopic(name: string, flags: CreateFlags): Promise<void> {
  const { full, path } = topicPath(name)
  const { partitions, property } = flags
  await withAdmin(flags, async admin => {
    const hasProperties = Object.keys(property).length > 0
    if (partitions === undefined) await admin.call('PUT', path, hasProperties ? property : undefined)
    else if (!hasProperties) await admin.call('PUT', `${path}/partitions`, partitions)
    else await admin.call('PUT', `${path}/partitions`, { partitions, properties: property }, PARTITIONED_TOPIC_TYPE)
  })
  const count = partitions === undefined ? '' : ` with ${partitions} partitions`
  await say(flags, { topic: full, created: true, partitions: partitions ?? 0 }, `created ${full}${count}`)
}

export async function deleteTopic(name: string, flags: DeleteFlags): Promise<void> {
  const topic = topicPath(name)
  await withAdmin(flags, async admin => {
    const force = flags.force === true ? '?force=true' : ''
    const count = await partitionCount(admin, topic)
    await destroy(flags, {
      what: topic.full,
      done: 'deleted',
      record: { topic: topic.full },
      loss: () => lossOfTopic(admin, topic, count),
      run: () => admin.call('DELETE', `${topic.path}${count > 0 ? '/partitions' : ''}${force}`)
    })
  })
}

export async function topicStats(name: string, flags: StatsFlags): Promise<void> {
  const topic = topicPath(name)
  const isInternal = flags.internal === true
  const stats = await withAdmin(flags, async admin => {
    const isPartitioned = (await partitionCount(admin, topic)) > 0
    const plain = isInternal ? 'internalStats' : 'stats'
    return await admin.call('GET', `${topic.path}/${isPartitioned ? `partitioned-${plain}` : plain}`)
  })
  const record = isRecord(stats) ? stats : {}
  if (flags.json === true || isInternal) return await printJson({ topic: topic.full, ...record })
  printStats(topic, record)
}

function printStats({ full }: TopicPath, stats: Record<string, unknown>): void {
  const { metadata } = stats
  const producers = Array.isArray(stats.publishers) ? stats.publishers.length : 0
  printFields([
    ['topic', full],
    ['partitions', isRecord(metadata) ? numberOf(metadata.partitions) : undefined],
    ['messages published', numberOf(stats.msgInCounter)],
    ['bytes published', numberOf(stats.bytesInCounter)],
    ['messages/s in', numberOf(stats.msgRateIn).toFixed(1)],
    ['messages/s out', numberOf(stats.msgRateOut).toFixed(1)],
    ['bytes stored', numberOf(stats.storageSize)],
    ['producers', producers]
  ])
  const subscriptions = isRecord(stats.subscriptions) ? stats.subscriptions : {}
  if (Object.keys(subscriptions).length > 0) printSubscriptions(subscriptions)
}

export async function lastMessageId(name: string, flags: AdminFlags): Promise<void> {
  const topic = topicPath(name)
  await withAdmin(flags, async admin => {
    const count = await partitionCount(admin, topic)
    const parts =
      count === 0 ? [topic] : Array.from({ length: count }, (_, i) => topicPath(`${topic.full}-partition-${i}`))
    for (const part of parts) {
      const id = idText(await admin.call('GET', `${part.path}/lastMessageId`))
      await say(flags, { topic: part.full, messageId: id }, count === 0 ? id : `${part.full}  ${id}`)
    }
  })
}

export async function partitions(name: string, flags: PartitionFlags): Promise<void> {
  const topic = topicPath(name)
  const { set } = flags
  const count = await withAdmin(flags, async admin => {
    if (set !== undefined) await admin.call('POST', `${topic.path}/partitions`, set)
    return set ?? (await partitionCount(admin, topic))
  })
  await say(flags, { topic: topic.full, partitions: count }, String(count))
}

export async function unloadTopic(name: string, flags: AdminFlags): Promise<void> {
  const { full, path } = topicPath(name)
  await withAdmin(flags, admin => admin.call('PUT', `${path}/unload`))
  await say(flags, { topic: full, unloaded: true }, `unloaded ${full}`)
}

export async function truncateTopic(name: string, flags: TruncateFlags): Promise<void> {
  const topic = topicPath(name)
  await withAdmin(flags, async admin => {
    await destroy(flags, {
      what: topic.full,
      done: 'truncated',
      record: { topic: topic.full },
      loss: async () => lossOfTopic(admin, topic, await partitionCount(admin, topic)),
      run: () => admin.call('DELETE', `${topic.path}/truncate`)
    })
  })
}

async function lossOfTopic(admin: AdminClient, { full }: TopicPath, partitionsOf: number): Promise<Loss> {
  const parts = partitionsOf === 0 ? [full] : Array.from({ length: partitionsOf }, (_, at) => `${full}-partition-${at}`)
  return { ...(partitionsOf === 0 ? {} : { partitions: partitionsOf }), ...(await lossOfTopics(admin, parts)) }
}

export async function terminateTopic(name: string, flags: AdminFlags): Promise<void> {
  const topic = topicPath(name)
  await withAdmin(flags, async admin => {
    const isPartitioned = (await partitionCount(admin, topic)) > 0
    const answer = await admin.call('POST', `${topic.path}/terminate${isPartitioned ? '/partitions' : ''}`)
    const ends = isPartitioned && isRecord(answer) ? Object.values(answer).map(idText) : [idText(answer)]
    const record = { topic: topic.full, terminated: true, lastMessageIds: ends }
    await say(flags, record, `terminated ${topic.full} at ${ends.join(', ')}`)
  })
}

async function partitionCount(admin: AdminClient, { path }: TopicPath): Promise<number> {
  const answer = await admin.call('GET', `${path}/partitions`)
  return isRecord(answer) ? numberOf(answer.partitions) : 0
}

/** As `read --from` takes it. */
function idText(id: unknown): string {
  if (!isRecord(id)) return ''
  return `${numberOf(id.ledgerId)}:${numberOf(id.entryId)}:${numberOf(id.partitionIndex)}`
}

async function say(flags: AdminFlags, record: object, line: string): Promise<void> {
  await (flags.json === true ? printJson(record) : printLine(line))
}
