import { ScalarType, type DescField, type DescMessage } from '@bufbuild/protobuf'
import { FeatureSet_FieldPresence } from '@bufbuild/protobuf/wkt'
import { refuse } from './errors.ts'
import { BaseCommandSchema } from './generated/PulsarApi_pb.ts'
import { ProtoReader, WIRE_BYTES, WIRE_FIXED32, WIRE_FIXED64, WIRE_VARINT } from './proto-reader.ts'

/**
 * Walks a command's bytes by its schema before any object is made of them: wire types, lengths, required fields,
 * nesting and the number of elements are checked here, so that what follows cannot fail or grow without bound.
 */

interface FieldShape {
  readonly wireType: number
  readonly requiredBit: number
  readonly isPackable: boolean
  readonly message: MessageShape | undefined
}

interface MessageShape {
  readonly fields: (FieldShape | undefined)[]
  requiredBits: number
}

const DEPTH_MAX = 16

/** An empty nested message is two bytes on the wire and a hundred times that in memory. */
const NESTED_MESSAGES_MAX = 200_000

const bytesScalars: readonly unknown[] = [ScalarType.STRING, ScalarType.BYTES]
const fixed64Scalars: readonly unknown[] = [ScalarType.DOUBLE, ScalarType.FIXED64, ScalarType.SFIXED64]
const fixed32Scalars: readonly unknown[] = [ScalarType.FLOAT, ScalarType.FIXED32, ScalarType.SFIXED32]

const BASE_COMMAND = shapeOf(BaseCommandSchema, new Map())

/** @throws MALFORMED_FRAME */
export function checkCommand(buffer: Buffer, start: number, end: number): void {
  const reader = new ProtoReader()
  reader.open(buffer, start, end)
  walk(reader, BASE_COMMAND, 0, { left: NESTED_MESSAGES_MAX })
}

function walk(reader: ProtoReader, shape: MessageShape, depth: number, budget: { left: number }): void {
  if (depth > DEPTH_MAX) refuse('messages nested too deeply', reader.position)
  let seenBits = 0
  while (reader.next()) {
    const field = shape.fields[reader.field]
    if (field === undefined) {
      reader.skip()
      continue
    }
    if (reader.wireType !== field.wireType && !(field.isPackable && reader.wireType === WIRE_BYTES)) {
      refuse(`field ${reader.field} has wire type ${reader.wireType}`, reader.position)
    }
    seenBits |= field.requiredBit
    if (field.message === undefined) {
      skipValue(reader, field)
      continue
    }
    if (--budget.left < 0) refuse('too many nested messages', reader.position)
    const outerEnd = reader.end
    reader.end = reader.block()
    walk(reader, field.message, depth + 1, budget)
    reader.end = outerEnd
  }
  if ((seenBits & shape.requiredBits) !== shape.requiredBits) refuse('a required field is missing', reader.position)
}

/** A packed list must hold whole varints. */
function skipValue(reader: ProtoReader, field: FieldShape): void {
  if (!field.isPackable || reader.wireType !== WIRE_BYTES) {
    reader.skip()
    return
  }
  const outerEnd = reader.end
  reader.end = reader.block()
  while (reader.position < reader.end) reader.varint()
  reader.end = outerEnd
}

function shapeOf(schema: DescMessage, known: Map<string, MessageShape>): MessageShape {
  const found = known.get(schema.typeName)
  if (found !== undefined) return found
  const shape: MessageShape = { fields: [], requiredBits: 0 }
  known.set(schema.typeName, shape)
  let requiredCount = 0
  for (const field of schema.fields) {
    const requiredBit = field.presence === FeatureSet_FieldPresence.LEGACY_REQUIRED ? 1 << requiredCount++ : 0
    shape.requiredBits |= requiredBit
    shape.fields[field.number] = {
      wireType: wireTypeOf(field),
      requiredBit,
      isPackable: field.fieldKind === 'list' && wireTypeOf(field) === WIRE_VARINT,
      message: field.message === undefined ? undefined : shapeOf(field.message, known)
    }
  }
  return shape
}

function wireTypeOf(field: DescField): number {
  if (field.message !== undefined || bytesScalars.includes(field.scalar)) return WIRE_BYTES
  if (fixed64Scalars.includes(field.scalar)) return WIRE_FIXED64
  return fixed32Scalars.includes(field.scalar) ? WIRE_FIXED32 : WIRE_VARINT
}
