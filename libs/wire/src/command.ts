import { strict as assert } from 'node:assert'
import { fromBinary, type DescMessage, type Message, type MessageInitShape } from '@bufbuild/protobuf'
import { checkCommand } from './command-shape.ts'
import { FRAME_PREFIX_BYTES, LENGTH_BYTES } from './constants.ts'
import { refuse } from './errors.ts'
import { BaseCommandSchema, ServerError, type BaseCommand } from './generated/PulsarApi_pb.ts'
import { writeCommand } from './proto-encoder.ts'
import { ProtoReader } from './proto-reader.ts'

/*
  A frame, after its `totalSize`:

    [4 cmdSize][cmdSize bytes: BaseCommand][headers and payload, for SEND and MESSAGE only]

  The type of a BaseCommand is the number of the one field that holds its body. This is the path for every command
  that is not sent per message; those have views and writers of their own.
*/

export type CommandName = Exclude<keyof BaseCommand, keyof Message | 'type'>

export type CommandBody<Name extends CommandName> = NonNullable<BaseCommand[Name]>

type Init = Exclude<MessageInitShape<typeof BaseCommandSchema>, Message>

export type CommandInit<Name extends CommandName> = NonNullable<Init[Name]>

type Known = { [Name in CommandName]: { readonly case: Name; readonly value: CommandBody<Name> } }[CommandName]

interface Place {
  readonly type: number
  /** Where headers and payload begin; equal to the frame's end if there are none. */
  readonly headersStart: number
}

export type DecodedCommand = (Known & Place) | ({ readonly case: 'unknown'; readonly value?: undefined } & Place)

const bodies = BaseCommandSchema.fields.filter(field => field.message !== undefined)

const namesByType: ReadonlyMap<number, CommandName> = new Map(
  bodies.map(field => [field.number, field.localName as CommandName])
)

const kindsByName: ReadonlyMap<CommandName, { readonly type: number; readonly desc: DescMessage }> = new Map(
  bodies.map(({ localName, number, message }) => [localName as CommandName, { type: number, desc: message }])
)

/** The command's name, for logs; undefined for a type that is not known. */
export function commandNameOf(type: number): CommandName | undefined {
  return namesByType.get(type)
}

/** Returns where the command ends and headers begin. @throws MALFORMED_FRAME */
export function commandEndOf(buffer: Buffer, start: number, end: number): number {
  if (end - start < LENGTH_BYTES) refuse('frame without a command', start)
  const commandEnd = start + LENGTH_BYTES + buffer.readUInt32BE(start)
  if (commandEnd > end) refuse('command longer than its frame', start)
  return commandEnd
}

/** The number of the command, known or not, without decoding it. @throws MALFORMED_FRAME */
export function commandTypeOf(buffer: Buffer, start: number, end: number): number {
  const commandEnd = commandEndOf(buffer, start, end)
  const at = start + LENGTH_BYTES
  if (commandEnd - at >= 2 && buffer[at] === 0x08 && (buffer[at + 1] as number) < 0x80) return buffer[at + 1] as number
  const reader = new ProtoReader()
  reader.open(buffer, at, commandEnd)
  while (reader.next()) {
    if (reader.field === 1) return reader.int32()
    reader.skip()
  }
  refuse('command without a type', at)
}

/**
 * Decodes a whole command. A type that is not known gives the case 'unknown'; unknown fields are passed over.
 * @throws MALFORMED_FRAME, and nothing else whatever the bytes are
 */
export function decodeCommand(buffer: Buffer, start: number, end: number): DecodedCommand {
  const type = commandTypeOf(buffer, start, end)
  const headersStart = commandEndOf(buffer, start, end)
  const name = namesByType.get(type)
  if (name === undefined) return { case: 'unknown', type, headersStart }
  const value = decodeBase(buffer, start + LENGTH_BYTES, headersStart)[name]
  if (value === undefined) refuse(`command ${name} without its body`, start)
  return { case: name, value, type, headersStart } as DecodedCommand
}

function decodeBase(buffer: Buffer, start: number, end: number): BaseCommand {
  checkCommand(buffer, start, end)
  try {
    return fromBinary(BaseCommandSchema, buffer.subarray(start, end), { readUnknownFields: false })
  } catch (error) {
    refuse(`command does not decode: ${String(error)}`, start)
  }
}

/**
 * A whole frame, without headers and payload. What is given is written even if it is zero or empty; required fields
 * that are not given are a bug of the caller. Fields that some client insists on are added.
 */
export function encodeCommand<Name extends CommandName>(name: Name, init: CommandInit<Name>): Buffer {
  const frame = encode(name, init, FRAME_PREFIX_BYTES)
  const commandBytes = frame.length - FRAME_PREFIX_BYTES
  frame.writeUInt32BE(LENGTH_BYTES + commandBytes, 0)
  frame.writeUInt32BE(commandBytes, LENGTH_BYTES)
  return frame
}

/** The command alone, for frames that go on with headers and payload. */
export function encodeBaseCommand<Name extends CommandName>(name: Name, init: CommandInit<Name>): Uint8Array {
  return encode(name, init, 0)
}

function encode<Name extends CommandName>(name: Name, init: CommandInit<Name>, headroomBytes: number): Buffer {
  const kind = kindsByName.get(name)
  assert(kind !== undefined, `no such command: ${name}`)
  return writeCommand(kind, CLIENTS_NEED[name]?.(init) ?? init, headroomBytes)
}

const EMPTY = new Uint8Array(0)

/**
 * Go and Java read these without asking whether they are there. An error needs a text, since Go takes an answer
 * without one as a success.
 */
const CLIENTS_NEED: { readonly [Name in CommandName]?: (init: CommandInit<Name>) => CommandInit<Name> } = {
  lookupTopicResponse: init => filled(init, { response: 0 }),
  partitionMetadataResponse: init => filled(init, { response: 0, partitions: 0 }),
  producerSuccess: init => filled(init, { schemaVersion: EMPTY }),
  getOrCreateSchemaResponse: init => (isGiven(init, 'errorCode') ? init : filled(init, { schemaVersion: EMPTY })),
  ackResponse: init => {
    const { error, message = '' } = init
    if (!isGiven(init, 'error') || error === undefined || message !== '') return init
    return { ...init, message: serverErrorName(error) }
  }
}

function filled<Init extends object>(init: Init, needed: Partial<Init>): Init {
  const missing = Object.entries(needed).filter(([name]) => !isGiven(init, name))
  return missing.length === 0 ? init : { ...init, ...Object.fromEntries(missing) }
}

/** A message that was decoded has defaults that are not its own. */
function isGiven(init: object, name: string): boolean {
  return Object.hasOwn(init, name) && (init as Readonly<Record<string, unknown>>)[name] !== undefined
}

const serverErrorNames: ReadonlyMap<number, string> = new Map(
  Object.entries(ServerError).map(([name, code]) => [code, name])
)

/** The protocol's name of an error code. */
export function serverErrorName(code: number): string {
  return serverErrorNames.get(code) ?? 'UnknownError'
}
