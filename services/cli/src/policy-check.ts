import { isRecord, withAdmin, type AdminClient, type AdminFlags } from './admin.ts'
import { inOrder } from './bounded.ts'
import { ClusterReader, type TopicEntry } from './cluster-state/read.ts'
import { printJson, printLine, printTable } from './output.ts'

export interface CheckFlags extends AdminFlags {
  /** Look at subscriptions too: each topic is asked for its own, and a broker loads those that it does not serve yet. */
  readonly subscriptions?: boolean
}

type NotActing = Readonly<Record<string, unknown>>

const TOPICS_AT_ONCE = 16

/** What is set in any namespace, on any topic and, if asked, on any subscription, and does nothing: its feature is not there yet. */
export async function checkPolicies(flags: CheckFlags): Promise<void> {
  const isJson = flags.json === true
  const found = await withAdmin(flags, async admin => {
    const answer = await admin.call('GET', 'policies/check')
    const policies = Array.isArray(answer) ? answer.filter(isRecord) : []
    return flags.subscriptions === true ? [...policies, ...(await markedSubscriptions(admin))] : policies
  })
  if (isJson) {
    for (const policy of found) await printJson(policy)
    return
  }
  if (found.length === 0) {
    await printLine('every policy that is set acts')
    return
  }
  const rows = found.map(({ policy, namespace, topic, subscription, reach, value }) => [
    text(policy),
    [text(topic ?? namespace), ...(subscription === undefined ? [] : [text(subscription)])].join(' '),
    text(reach ?? ''),
    JSON.stringify(value)
  ])
  printTable(['stored, not acting', 'of', 'reach', 'value'], rows)
}

/** Subscriptions that are to be replicated. The mark is kept with their positions, which only the topic itself has. */
async function markedSubscriptions(admin: AdminClient): Promise<NotActing[]> {
  const reader = new ClusterReader(admin, () => undefined)
  const namespaces = await reader.namespaceNames(await reader.tenantNames())
  const found: NotActing[] = []
  const read = async (entry: TopicEntry) => ({ entry, subscriptions: await reader.subscriptions(entry) })
  for await (const topics of inOrder(namespaces, 1, name => reader.topics(name))) {
    for await (const { entry, subscriptions } of inOrder(topics, TOPICS_AT_ONCE, read)) {
      const { name: topic, namespace } = entry
      for (const [subscription, { isReplicated }] of Object.entries(subscriptions)) {
        if (isReplicated !== true) continue
        found.push({ policy: 'replicatedSubscription', namespace, topic, subscription, value: true })
      }
    }
  }
  return found
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
