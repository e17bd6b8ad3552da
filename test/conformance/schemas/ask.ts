// Asks a server what it thinks of every pair of schemas, through its admin API.
import { strict as assert } from 'node:assert'
import { setTimeout as delay } from 'node:timers/promises'
import { COMPATIBILITY_STRATEGIES, type CompatibilityStrategy } from '@strata/schema'
import type { CompatibilityCase, PulsarAnswer, SchemaText } from '@strata/schema/testing'
import type { Admin } from '../http.ts'

const POLL_MS = 20
const AT_ONCE = 8
const STRING: SchemaText = { type: 'STRING', schema: '', properties: {} }

type Answers = Record<string, PulsarAnswer>

/** One namespace for all: its strategy is changed under the topics, as an administrator would. */
export async function askAll(admin: Admin, cases: readonly CompatibilityCase[]): Promise<Answers> {
  const namespace = `public/schemas-${Date.now()}`
  const at = (index: number): string => `schemas/${namespace}/case-${index}`
  await admin.expect(204, 'PUT', `namespaces/${namespace}`)
  await admin.expect(200, 'POST', `schemas/${namespace}/probe/schema`, STRING)
  await setStrategy(admin, namespace, 'ALWAYS_COMPATIBLE')
  const before = await ofEach(cases, (one, index) => addAll(admin, at(index), one.before))
  const fits = cases.map((): CompatibilityStrategy[] => [])
  const refused = cases.map(() => new Set<number>())
  for (const strategy of COMPATIBILITY_STRATEGIES) {
    await setStrategy(admin, namespace, strategy)
    await ofEach(cases, async ({ after }, index) => {
      const answer = await admin.request('POST', `${at(index)}/compatibility`, after)
      if (isYes(answer.status, answer.text)) fits[index]?.push(strategy)
      else refused[index]?.add(answer.status)
    })
  }
  await setStrategy(admin, namespace, 'FULL')
  const answers = await ofEach(cases, async ({ name, after }, index): Promise<[string, PulsarAnswer]> => {
    const statuses = before[index] ?? []
    const answer = {
      ...(statuses.every(status => status === 200) ? {} : { before: statuses }),
      fits: fits[index] ?? [],
      refused: [...(refused[index] ?? [])],
      version: await versionOf(admin, at(index), after),
      added: await added(admin, at(index), after)
    }
    return [name, answer]
  })
  return Object.fromEntries(answers)
}

/** Some at a time, results in order. */
async function ofEach<Item, Result>(
  items: readonly Item[],
  run: (item: Item, index: number) => Promise<Result>
): Promise<Result[]> {
  const results: Result[] = []
  const rest = items.entries()
  const work = async (): Promise<void> => {
    for (const [index, item] of rest) results[index] = await run(item, index)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  return results
}

/** What is asked for shows when a pair that always fits is answered with the strategy's name. */
async function setStrategy(admin: Admin, namespace: string, strategy: CompatibilityStrategy): Promise<void> {
  await admin.expect(204, 'PUT', `namespaces/${namespace}/schemaCompatibilityStrategy`, strategy)
  for (;;) {
    const { text } = await admin.expect(202, 'POST', `schemas/${namespace}/probe/compatibility`, STRING)
    if (text.includes(`"${strategy}"`)) return
    await delay(POLL_MS)
  }
}

async function addAll(admin: Admin, path: string, schemas: readonly SchemaText[]): Promise<number[]> {
  const statuses: number[] = []
  for (const schema of schemas) statuses.push((await admin.request('POST', `${path}/schema`, schema)).status)
  return statuses
}

function isYes(status: number, text: string): boolean {
  return status < 300 && (JSON.parse(text) as { compatibility?: unknown }).compatibility === true
}

async function versionOf(admin: Admin, path: string, schema: SchemaText): Promise<number | string> {
  const { status, text } = await admin.request('POST', `${path}/version`, schema)
  return status === 200 ? (JSON.parse(text) as { version: number }).version : String(status)
}

async function added(admin: Admin, path: string, schema: SchemaText): Promise<string> {
  const { status, text } = await admin.request('POST', `${path}/schema`, schema)
  if (status !== 200) return String(status)
  const { version } = JSON.parse(text) as { version: unknown }
  assert(typeof version === 'object' && version !== null && 'version' in version, text)
  return `200, version ${String(version.version)}`
}
