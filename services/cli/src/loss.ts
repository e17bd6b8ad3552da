import { isRecord, numberOf, textsOf, type AdminClient } from './admin.ts'
import { inOrder } from './bounded.ts'
import type { Loss } from './destruction.ts'
import { startProgress } from './output.ts'
import { namespacePath, topicPath } from './topic-path.ts'

const READS_AT_ONCE = 16

/** Topics (partitions one by one), subscriptions and bytes of messages that are in namespaces. */
export async function lossOfNamespaces(admin: AdminClient, namespaces: readonly string[]): Promise<Loss> {
  const topics: string[] = []
  for await (const found of inOrder(namespaces, READS_AT_ONCE, namespace =>
    admin.find(`namespaces/${namespacePath(namespace)}/topics?mode=ALL`)
  )) {
    topics.push(...textsOf(found))
  }
  return { topics: topics.length, ...(await lossOfTopics(admin, topics)) }
}

/** Of topics that are not partitioned, or partitions. */
export async function lossOfTopics(admin: AdminClient, topics: readonly string[]): Promise<Loss> {
  let done = 0
  const names = new Set<string>()
  let bytes = 0
  const progress = startProgress(() => `looked at ${done} of ${topics.length} topics`)
  try {
    for await (const { topic, stats } of inOrder(topics, READS_AT_ONCE, async each => ({
      topic: each,
      stats: await admin.find(`${topicPath(each).path}/stats`)
    }))) {
      done++
      if (!isRecord(stats)) continue
      bytes += numberOf(stats.storageSize)
      // a subscription of a partitioned topic is one, whatever the number of partitions
      const base = topic.replace(/-partition-\d+$/, '')
      for (const name of durableSubscriptions(stats)) names.add(`${base} ${name}`)
    }
  } finally {
    progress.stop()
  }
  return { subscriptions: names.size, bytes }
}

/** Names in the stats of a topic that outlive their consumers. */
export function durableSubscriptions(stats: Readonly<Record<string, unknown>>): string[] {
  const all = isRecord(stats.subscriptions) ? stats.subscriptions : {}
  return Object.entries(all).flatMap(([name, value]) => (isRecord(value) && isVolatile(value) ? [] : [name]))
}

function isVolatile(subscription: Readonly<Record<string, unknown>>): boolean {
  return (subscription.isDurable ?? subscription.durable) === false
}
