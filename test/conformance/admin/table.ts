// All scripts, and that every pair is asked for.
import { pairs } from './pairs.ts'
import { absentScripts, others } from './scripts/others.ts'
import { cluster } from './scripts/cluster.ts'
import { namespacePolicies } from './scripts/namespace-policies.ts'
import { namespaces } from './scripts/namespaces.ts'
import { topicPolicies } from './scripts/topic-policies.ts'
import { topics } from './scripts/topics.ts'
import type { Script } from './script.ts'

const apart = [...namespaces, ...topics, ...others, ...namespacePolicies, ...topicPolicies]

export const beside: readonly Script[] = [...apart, ...absentScripts([...apart, ...cluster])]
/** What changes the whole cluster under others' eyes goes last and alone, one after the other. */
export const alone: readonly Script[] = cluster

/** Pairs that no script asks for: a gap in the table. */
export function unasked(): string[] {
  const names = new Set(
    [...alone, ...beside].flatMap(({ steps }) => steps.map(step => (step.kind === 'ask' ? step.pair : '')))
  )
  return pairs.map(({ name }) => name).filter(name => !names.has(name))
}
