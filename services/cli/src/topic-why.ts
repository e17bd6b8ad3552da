import { isRecord, textsOf, withAdmin, type AdminFlags } from './admin.ts'
import { printFields, printJson, printLine } from './output.ts'
import { topicPath } from './topic-path.ts'

/** Which broker serves a topic, or each of its partitions, and what was decided about that. */
export async function whyTopic(name: string, flags: AdminFlags): Promise<void> {
  const { path } = topicPath(name)
  await withAdmin(flags, async admin => {
    const answer = await admin.call('GET', `${path}/why`)
    if (!isRecord(answer)) return
    if (flags.json === true) {
      await printJson(answer)
      return
    }
    if (answer.isDeleting === true) await printLine('The topic is being deleted.')
    const all: unknown[] = Array.isArray(answer.partitions) ? answer.partitions : [answer]
    for (const one of all) if (isRecord(one)) await printWhy(one)
  })
}

async function printWhy(why: Readonly<Record<string, unknown>>): Promise<void> {
  const line = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)
  printFields([
    ['topic', line(why.topic)],
    ['bundle', line(why.bundle)],
    ['state', line(why.state)],
    ['broker', line(why.owner) ?? 'none'],
    ['next', line(why.next)],
    ['since', line(why.since)],
    ['deadline', line(why.deadline)]
  ])
  for (const reason of textsOf(why.reasons)) await printLine(`  ${reason}`)
  for (const trouble of textsOf(why.troubles)) await printLine(`  ${line(why.askedBroker) ?? ''}: ${trouble}`)
}
