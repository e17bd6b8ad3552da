// What two servers' answers come to, pair by pair.
import { pairs } from './pairs.ts'
import { differences, type Answer } from './normal.ts'
import type { Answers } from './runner.ts'

export interface Difference {
  /** `<script> · <pair> · <note>` */
  readonly request: string
  readonly lines: readonly string[]
  readonly expected: Answer
  readonly found: Answer
}

/** `ours`: Pulsar fails at it, and it was decided what is answered. */
export type Verdict = 'alike' | 'decided' | 'ours' | 'different' | 'not served' | 'unknown'

export interface PairResult {
  readonly pair: string
  readonly area: string
  readonly verdict: Verdict
  readonly requests: number
  readonly differences: readonly Difference[]
}

/** A difference that is meant, and why. */
export interface Decision {
  /** `*`: any. */
  readonly pair: string
  /** Its note; absent: any. */
  readonly request?: string
  /** All that may differ, as it is printed; absent: anything. */
  readonly lines?: readonly string[]
  readonly reason: string
}

/** @param expected Of the oracle. */
export function compareAll(expected: Answers, found: Answers, decisions: readonly Decision[]): PairResult[] {
  const byPair = grouped(Object.keys(expected), pairOf)
  return pairs.map(({ name, area }) => {
    const asked = (byPair.get(name) ?? []).filter(key => key in found)
    const requests = asked.filter(key => !isFailure(expected[key]))
    const all = requests.flatMap(request => differenceOf(request, expected[request], found[request]))
    const open = all.filter(difference => !decisions.some(decision => holds(decision, name, difference)))
    const isServed = requests.some(request => !isUnserved(found[request]))
    const differs = isServed ? 'different' : 'not served'
    // an oracle that did not answer holds nothing
    const isDecided = decisions.some(({ pair }) => pair === name)
    const without = isDecided ? 'ours' : 'unknown'
    const holdsAll = requests.length === 0 ? without : all.length > 0 ? 'decided' : 'alike'
    const verdict = open.length > 0 ? differs : holdsAll
    return { pair: name, area, verdict, requests: asked.length, differences: open }
  })
}

function pairOf(key: string): string {
  return key.split(' · ')[1] ?? ''
}

function differenceOf(request: string, expected: Answer | undefined, found: Answer | undefined): Difference[] {
  if (expected === undefined || found === undefined) return []
  const lines = differences(expected, found)
  return lines.length === 0 ? [] : [{ request, lines, expected, found }]
}

/** What the oracle did not foresee, or did not answer in time, is no promise of anything. */
function isFailure(answer: Answer | undefined): boolean {
  if (answer === undefined || answer.status === 0) return true
  const { status, body } = answer
  return status === 500 && /<stack trace>|"message":"(Request failed\.|<string>)"/.test(JSON.stringify(body ?? ''))
}

function holds(decision: Decision, pair: string, difference: Difference): boolean {
  if (decision.pair !== '*' && decision.pair !== pair) return false
  if (decision.request !== undefined && !difference.request.endsWith(` · ${decision.request}`)) return false
  return decision.lines === undefined || difference.lines.every(line => decision.lines?.includes(line))
}

/** No route: what Strata says of a path that it does not have, or of a method that a path does not have. */
function isUnserved(answer: Answer | undefined): boolean {
  if (answer === undefined) return true
  if (answer.status === 405 && answer.body === undefined) return true
  const { message } = (answer.body ?? {}) as { message?: unknown }
  return answer.status === 404 && message === 'Not Found'
}

export function isOpen({ verdict }: PairResult): boolean {
  return verdict !== 'alike' && verdict !== 'decided' && verdict !== 'ours'
}

/** A line for each area, and the whole. */
export function totalsTable(results: readonly PairResult[]): string {
  const verdicts = ['alike', 'decided', 'ours', 'different', 'not served', 'unknown'] as const
  const row = (name: string, of: readonly PairResult[]): string => {
    const counts = verdicts.map(verdict => of.filter(result => result.verdict === verdict).length)
    const same = (counts[0] ?? 0) + (counts[1] ?? 0) + (counts[2] ?? 0)
    const share = `${((100 * same) / Math.max(1, of.length)).toFixed(1)} %`
    return [name.padEnd(16), ...[of.length, ...counts, share].map(cell => String(cell).padStart(10))].join(' ')
  }
  const areas = [...grouped(results, ({ area }) => area)]
  const head = [''.padEnd(16), ...['pairs', ...verdicts, 'held'].map(cell => cell.padStart(10))].join(' ')
  return [head, ...areas.map(([area, of]) => row(area, of)), row('all', results)].join('\n')
}

/** Pairs that do not answer alike, with the first lines of what differs. */
export function differencesList(results: readonly PairResult[], linesMax: number): string {
  const open = results.filter(isOpen)
  return open
    .map(({ pair, verdict, requests, differences }) => {
      const shown = verdict === 'different' ? differences.slice(0, linesMax) : []
      const lines = shown.map(
        ({ request, lines }) => `    ${request.split(' · ').slice(2).join(' · ')}: ${lines[0] ?? ''}`
      )
      return [`${verdict}: ${pair} (${differences.length} of ${requests} requests)`, ...lines].join('\n')
    })
    .join('\n')
}

function grouped<Item>(items: readonly Item[], keyOf: (item: Item) => string): Map<string, Item[]> {
  const groups = new Map<string, Item[]>()
  for (const item of items) {
    const key = keyOf(item)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [item])
    else group.push(item)
  }
  return groups
}
