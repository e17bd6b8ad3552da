import { ScalarType, type DescField, type DescMessage } from '@bufbuild/protobuf'
import { FeatureSet_FieldPresence } from '@bufbuild/protobuf/wkt'
import fc from 'fast-check'
import { BaseCommandSchema } from '../generated/PulsarApi_pb.ts'
import type { CommandName } from '../command.ts'

/** Values of a message, as its init shape: required fields always, others sometimes. */
export function arbitraryOf(schema: DescMessage, depth = 0): fc.Arbitrary<Record<string, unknown>> {
  const required: string[] = []
  const model: Record<string, fc.Arbitrary<unknown>> = {}
  for (const field of schema.fields) {
    if (field.oneof !== undefined) continue
    const isRequired = field.presence === FeatureSet_FieldPresence.LEGACY_REQUIRED
    if (field.message !== undefined && depth >= 3 && !isRequired) continue
    model[field.localName] = arbitraryOfField(field, depth)
    if (isRequired) required.push(field.localName)
  }
  return fc.record(model, { requiredKeys: required })
}

function arbitraryOfField(field: DescField, depth: number): fc.Arbitrary<unknown> {
  const one = arbitraryOfValue(field, depth)
  return field.fieldKind === 'list' ? fc.array(one, { maxLength: 3 }) : one
}

function arbitraryOfValue(field: DescField, depth: number): fc.Arbitrary<unknown> {
  if (field.message !== undefined) return arbitraryOf(field.message, depth + 1)
  if (field.enum !== undefined) return fc.constantFrom(...field.enum.values.map(value => value.number))
  const any64: fc.Arbitrary<unknown> = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })
  return scalars.get(field.scalar) ?? any64
}

const scalars: ReadonlyMap<ScalarType | undefined, fc.Arbitrary<unknown>> = new Map<ScalarType, fc.Arbitrary<unknown>>([
  [ScalarType.STRING, fc.string({ unit: 'grapheme' })],
  [ScalarType.BYTES, fc.uint8Array({ maxLength: 20 })],
  [ScalarType.BOOL, fc.boolean()],
  [ScalarType.DOUBLE, fc.double({ noNaN: true })],
  [ScalarType.INT32, fc.integer()],
  [ScalarType.UINT32, fc.integer({ min: 0, max: 0xffffffff })],
  [ScalarType.INT64, fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })]
])

export const commandFields: readonly DescField[] = BaseCommandSchema.fields.filter(field => field.message !== undefined)

export const anyCommand: fc.Arbitrary<{ name: CommandName; init: Record<string, unknown> }> = fc.oneof(
  ...commandFields.map(field =>
    arbitraryOf(field.message as DescMessage).map(init => ({ name: field.localName as CommandName, init }))
  )
)
