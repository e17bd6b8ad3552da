import type { TopicName } from '../../namespace/topic-name.ts'
import type { Explanation } from '../../ownership/contract.ts'
import { json, type AdminReply, type AdminRequest } from '../operation.ts'
import { topicNotFound, topicOf } from './names.ts'

/** What one broker can say of one topic. */
interface Why {
  readonly topic: string
  readonly bundle: string
  readonly state: Explanation['state']
  readonly owner: string | undefined
  readonly next: string | undefined
  readonly since: string | undefined
  readonly deadline: string | undefined
  /** One line each, newest last. */
  readonly reasons: readonly string[]
  /** What balance decided about the bundle, whoever led. */
  readonly balance: readonly string[]
  /** Of the broker that was asked. */
  readonly askedBroker: string
  readonly isLoadedThere: boolean
  /** Why it should get no clients. */
  readonly troubles: readonly string[]
}

/**
 * Why is this topic where it is, or not served? Any broker answers, from what it knows; for a partitioned topic it goes
 * through the partitions. Nothing is given to anybody by asking.
 */
export async function whyTopic(request: AdminRequest): Promise<AdminReply> {
  const name = topicOf(request)
  const record = await request.backend.namespaces.topics.find(name)
  if (record === undefined) topicNotFound(name)
  const { partitions } = record
  const parts =
    partitions === 0 || name.isPartition
      ? [name]
      : Array.from({ length: partitions }, (_, index) => name.partition(index))
  const all: Why[] = []
  for (const part of parts) all.push(await why(request, part))
  const isDeleting = record.isDeleting
  const [first] = all
  if (parts.length === 1 && parts[0] === name) return json({ ...first, isDeleting })
  return json({ topic: name.toString(), isDeleting, partitions: all })
}

async function why(request: AdminRequest, name: TopicName): Promise<Why> {
  const { homes, topics } = request.backend
  const { ownership } = homes
  const bundle = await ownership.bundleOf(name)
  const { state, owner, next, sinceMs, deadlineMs, reasons } = await ownership.explain(bundle)
  // a metadata store that is out of reach must not keep the rest from being said
  const balance = await request.backend.balance.log.reasonsOf(bundle.toString()).catch(() => [])
  return {
    topic: name.toString(),
    bundle: bundle.toString(),
    state,
    owner,
    next,
    since: timeOf(sinceMs),
    deadline: timeOf(deadlineMs),
    reasons,
    balance,
    askedBroker: ownership.self.id,
    isLoadedThere: topics.find(name) !== undefined,
    troubles: request.backend.troubles()
  }
}

function timeOf(ms: number | undefined): string | undefined {
  return ms === undefined ? undefined : new Date(ms).toISOString()
}
