import { strict as assert } from 'node:assert'
import { ScalarType, type DescField, type DescMessage } from '@bufbuild/protobuf'
import { FeatureSet_FieldPresence } from '@bufbuild/protobuf/wkt'
import { varintBytes, WriteBuffer } from './write-buffer.ts'

/*
  Writes a message from the fields that were given, by a plan that is made once for each type: an encoder that goes by reflection takes
  longer for a short answer than all else that is done for it. What it writes is what `toBinary` of @bufbuild/protobuf writes.
*/

type Fields = Readonly<Record<string, unknown>>
type Write = (out: WriteBuffer, value: unknown) => void

interface FieldPlan {
  readonly name: string
  /** For errors. */
  readonly protoName: string
  /** All of its fields are one property: `{ case, value }`. */
  readonly oneof: string | undefined
  /** Number and wire type. */
  readonly tag: number
  readonly isList: boolean
  readonly isRequired: boolean
  readonly write: Write
}

const SCRATCH_BYTES = 4 * 1024
const SCRATCH_BYTES_MAX = 64 * 1024
let scratch = new WriteBuffer(SCRATCH_BYTES)

/** Of a varint of 64 bits, and more than any other value of fixed size takes. */
const VALUE_BYTES_MAX = 10
const TAG_BYTES_MAX = 5
const UTF8_BYTES_OF_UNIT = 3
const BYTES = 2
const FIXED_64 = 1
const VARINT = 0
const TYPE_TAG = 1 * 8 + VARINT

const plans = new Map<DescMessage, readonly FieldPlan[]>()

/**
 * A BaseCommand: its type, and its body in the field that has the type's number.
 * @param body Own properties count, those that are undefined do not; a message counts as its fields.
 * @param headroomBytes Left free before the command.
 * @returns A buffer of its own. @throws AssertionError without a required field, or for a value that its type does not have
 */
export function writeCommand(
  { type, desc }: { readonly type: number; readonly desc: DescMessage },
  body: object,
  headroomBytes: number
): Buffer {
  // nothing in here waits, so one is enough for all; what is never taken of it stays where it is when it grows
  if (scratch.bytes.length > SCRATCH_BYTES_MAX) scratch = new WriteBuffer(SCRATCH_BYTES)
  const out = scratch
  out.position = headroomBytes
  out.varint(TYPE_TAG)
  out.varint(type)
  out.varint(type * 8 + BYTES)
  writeMessage(out, desc, body as Fields)
  const written = Buffer.allocUnsafe(out.position)
  out.bytes.copy(written, headroomBytes, headroomBytes, out.position)
  return written
}

function writeFields(out: WriteBuffer, desc: DescMessage, fields: Fields): void {
  for (const plan of planOf(desc)) {
    const value = valueOf(plan, fields)
    if (value === undefined) {
      assert(!plan.isRequired, `${desc.name} needs ${plan.protoName}`)
    } else if (plan.isList) {
      for (const each of value as readonly unknown[]) writeField(out, plan, each)
    } else writeField(out, plan, value)
  }
}

function valueOf({ name, oneof }: FieldPlan, fields: Fields): unknown {
  if (oneof === undefined) return Object.hasOwn(fields, name) ? fields[name] : undefined
  const chosen = fields[oneof] as { readonly case?: string; readonly value?: unknown } | undefined
  return chosen?.case === name ? chosen.value : undefined
}

function writeField(out: WriteBuffer, { tag, write }: FieldPlan, value: unknown): void {
  out.ensure(TAG_BYTES_MAX + VALUE_BYTES_MAX)
  out.varint(tag)
  write(out, value)
}

function planOf(desc: DescMessage): readonly FieldPlan[] {
  let plan = plans.get(desc)
  if (plan === undefined) {
    plan = [...desc.fields].sort((a, b) => a.number - b.number).map(planOfField)
    plans.set(desc, plan)
  }
  return plan
}

function planOfField(field: DescField): FieldPlan {
  const { localName: name, oneof, number, presence } = field
  const [wireType, write] = writerOf(field)
  return {
    name,
    protoName: field.name,
    oneof: oneof?.localName,
    tag: number * 8 + wireType,
    isList: field.fieldKind === 'list',
    isRequired: presence === FeatureSet_FieldPresence.LEGACY_REQUIRED,
    write
  }
}

function writerOf(field: DescField): readonly [wireType: number, write: Write] {
  const { message, scalar } = field
  if (message !== undefined) return [BYTES, (out, value) => writeMessage(out, message, value as Fields)]
  if (field.enum !== undefined) return [VARINT, writeInt32]
  assert(scalar !== undefined, `${field.name} is of a kind that no command has`)
  assert(field.fieldKind !== 'list' || !field.packed, `${field.name} is packed`)
  const writer = SCALARS[scalar]
  assert(writer !== undefined, `${field.name} is of a type that no command has`)
  return writer
}

const SCALARS: { readonly [Type in ScalarType]?: readonly [wireType: number, write: Write] } = {
  [ScalarType.DOUBLE]: [FIXED_64, writeDouble],
  [ScalarType.INT64]: [VARINT, (out, value) => write64(out, value, -(2n ** 63n), 2n ** 63n)],
  [ScalarType.UINT64]: [VARINT, (out, value) => write64(out, value, 0n, 2n ** 64n)],
  [ScalarType.INT32]: [VARINT, writeInt32],
  [ScalarType.UINT32]: [VARINT, writeUint32],
  [ScalarType.BOOL]: [VARINT, writeBool],
  [ScalarType.STRING]: [BYTES, writeText],
  [ScalarType.BYTES]: [BYTES, writeBytes]
}

function writeInt32(out: WriteBuffer, value: unknown): void {
  assert(typeof value === 'number' && (value | 0) === value, 'not of 32 bits')
  out.varint64(value >>> 0, value < 0 ? 0xffffffff : 0)
}

function writeUint32(out: WriteBuffer, value: unknown): void {
  assert(typeof value === 'number' && value >>> 0 === value, 'not of 32 bits without a sign')
  out.varint(value)
}

function write64(out: WriteBuffer, value: unknown, min: bigint, beyond: bigint): void {
  assert(typeof value === 'bigint' && value >= min && value < beyond, 'not of 64 bits')
  if (value >= 0n && value <= Number.MAX_SAFE_INTEGER) {
    out.varint(Number(value))
    return
  }
  const bits = BigInt.asUintN(64, value)
  out.varint64(Number(bits & 0xffffffffn), Number(bits >> 32n))
}

function writeBool(out: WriteBuffer, value: unknown): void {
  assert(typeof value === 'boolean', 'neither true nor false')
  out.uint8(value ? 1 : 0)
}

function writeDouble(out: WriteBuffer, value: unknown): void {
  assert(typeof value === 'number', 'not a number')
  out.bytes.writeDoubleLE(value, out.position)
  out.position += 8
}

function writeText(out: WriteBuffer, value: unknown): void {
  assert(typeof value === 'string', 'not a text')
  out.varint(Buffer.byteLength(value))
  out.ensure(value.length * UTF8_BYTES_OF_UNIT)
  out.utf8(value)
}

function writeBytes(out: WriteBuffer, value: unknown): void {
  assert(value instanceof Uint8Array, 'not bytes')
  out.varint(value.length)
  out.ensure(value.length)
  out.copy(value, 0, value.length)
}

/** Behind its length, for which one byte is left: what is longer than that allows is moved. */
function writeMessage(out: WriteBuffer, desc: DescMessage, fields: Fields): void {
  const lengthAt = out.position++
  writeFields(out, desc, fields)
  const length = out.position - lengthAt - 1
  const lengthBytes = varintBytes(length)
  if (lengthBytes > 1) {
    out.ensure(lengthBytes)
    out.bytes.copyWithin(lengthAt + lengthBytes, lengthAt + 1, out.position)
  }
  out.position = lengthAt
  out.varint(length)
  out.position += length
}
