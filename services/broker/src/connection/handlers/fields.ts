import { LATEST, type Position } from '@strata/cursor-protocol'
import type { KeyValue, MessageIdData, Schema } from '@strata/wire'
import { brokerError } from '../../errors.ts'
import type { ClientSchema } from '../schema-door.ts'

/*
  What clients send, in our terms.
*/

const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER)
const ALL_ONES = 0xffff_ffff_ffff_ffffn
/** Of a producer, a consumer, a subscription. */
const NAME_CHARS_MAX = 1024
/** Of all names and values together. They stay in memory, and those of subscriptions in metadata. */
const PROPERTIES_CHARS_MAX = 64 * 1024

/** Before anything comes of a request. @throws BrokerError NotAllowedError */
export function requireBounded(names: readonly string[], ...properties: readonly (readonly KeyValue[])[]): void {
  const name = names.find(({ length }) => length > NAME_CHARS_MAX)
  if (name !== undefined) {
    throw brokerError('NotAllowedError', `A name is ${name.length} characters long, the limit is ${NAME_CHARS_MAX}`)
  }
  for (const pairs of properties) {
    let chars = 0
    for (const { key, value } of pairs) chars += key.length + value.length
    if (chars <= PROPERTIES_CHARS_MAX) continue
    const limit = `the limit is ${PROPERTIES_CHARS_MAX}`
    throw brokerError('NotAllowedError', `Properties are ${chars} characters long, ${limit}`)
  }
}

export function propertiesOf(pairs: readonly KeyValue[]): Record<string, string> {
  return Object.fromEntries(pairs.map(({ key, value }) => [key, value]))
}

/** A schema of type None is no schema. */
export function clientSchemaOf(schema: Schema | undefined): ClientSchema | undefined {
  if (schema === undefined || schema.type === 0) return undefined
  return { name: schema.name, type: schema.type, data: schema.schemaData, properties: propertiesOf(schema.properties) }
}

/** 2^63-1 is the latest, 2^64-1 the earliest; what else is past 2^53 is later than anything. */
export function positionOf(id: MessageIdData): Position {
  const ledgerId = idOf(id.ledgerId)
  const entryId = idOf(id.entryId)
  return ledgerId === LATEST.ledgerId || entryId === LATEST.entryId ? clamped(ledgerId) : { ledgerId, entryId }
}

function clamped(ledgerId: number): Position {
  return ledgerId === LATEST.ledgerId ? LATEST : { ledgerId, entryId: LATEST.entryId }
}

function idOf(value: bigint): number {
  if (value === ALL_ONES) return -1
  return value > MAX_SAFE ? Number.MAX_SAFE_INTEGER : Number(value)
}

/** Remaining bits as 32-bit halves, low first; undefined: none given. */
export function ackSetOf(words: readonly bigint[]): Int32Array | undefined {
  if (words.length === 0) return undefined
  const halves = new Int32Array(words.length * 2)
  words.forEach((word, index) => {
    halves[2 * index] = Number(BigInt.asIntN(32, word))
    halves[2 * index + 1] = Number(BigInt.asIntN(32, word >> 32n))
  })
  return halves
}

/** A position as the protocol's ids: -1 is 2^64-1. */
export function wireIds(position: Position): { ledgerId: bigint; entryId: bigint } {
  return { ledgerId: wireId(position.ledgerId), entryId: wireId(position.entryId) }
}

function wireId(value: number): bigint {
  return value < 0 ? ALL_ONES : BigInt(value)
}
