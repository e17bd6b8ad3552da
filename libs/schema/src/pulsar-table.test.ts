// What Apache Pulsar answers for each of the cases, and what we do: the table is made by `npm run conformance:schemas`.
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import {
  checkCompatible,
  COMPATIBILITY_STRATEGIES,
  isSameSchema,
  isSameText,
  validateSchema,
  type CompatibilityStrategy
} from './compatibility.ts'
import { isSchemaError } from './errors.ts'
import { keyValueDefinition } from './key-value.ts'
import type { SchemaDefinition } from './schema-type.ts'
import {
  compatibilityCases,
  decisions,
  type CompatibilityCase,
  type PulsarAnswer,
  type SchemaText
} from './testing/index.ts'

const table = JSON.parse(readFileSync(new URL('testing/pulsar-answers.json', import.meta.url), 'utf8')) as Record<
  string,
  PulsarAnswer | undefined
>

function definitionOf({ type, schema, properties }: SchemaText): SchemaDefinition {
  return { type, data: type === 'KEY_VALUE' ? keyValueDefinition(schema) : Buffer.from(schema), properties }
}

/** @returns What `run` throws as an error of schemas. */
function problemOf<Result>(run: () => Result): { result: Result } | { code: string } {
  try {
    return { result: run() }
  } catch (error) {
    if (isSchemaError(error)) return { code: error.code }
    throw error
  }
}

const isTaken = (run: () => void): boolean => !('code' in problemOf(run))

function ourAnswer({ before, after }: CompatibilityCase): Omit<PulsarAnswer, 'refused' | 'before'> {
  const existing = before.map(definitionOf).filter(schema =>
    isTaken(() => {
      validateSchema(schema)
    })
  )
  const found = problemOf(() => existing.findIndex(schema => isSameText(schema, definitionOf(after))))
  const version = 'code' in found ? '422' : found.result
  const parsed = problemOf(() => {
    const schema = definitionOf(after)
    validateSchema(schema)
    return schema
  })
  if ('code' in parsed) return { fits: [], version, added: '422' }
  const candidate = parsed.result
  const doesFit = (strategy: CompatibilityStrategy): boolean =>
    isTaken(() => {
      checkCompatible(existing, candidate, strategy)
    })
  const known = existing.findIndex(schema => isSameSchema(schema, candidate))
  const next = known >= 0 ? known : existing.length
  return {
    fits: COMPATIBILITY_STRATEGIES.filter(doesFit),
    version,
    added: known >= 0 || doesFit('FULL') ? `200, version ${next}` : '409'
  }
}

describe('as Apache Pulsar answers', () => {
  test.each(compatibilityCases.map(one => [one.name, one] as const))('%s', (name, one) => {
    const { fits, version, added } = table[name] ?? expect.fail('the table lacks it')
    expect(ourAnswer(one)).toEqual({ fits, version, added, ...decisions[name]?.ours })
  })

  test('names are unique, the table has no other cases, and every decision is about one', () => {
    const names = compatibilityCases.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    expect(Object.keys(table).sort()).toEqual([...names].sort())
    expect(names).toEqual(expect.arrayContaining(Object.keys(decisions)))
  })
})
