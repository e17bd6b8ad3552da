export * from './generated/PulsarApi_pb.ts'
export {
  commandEndOf,
  commandNameOf,
  commandTypeOf,
  decodeCommand,
  encodeBaseCommand,
  encodeCommand,
  serverErrorName,
  type CommandBody,
  type CommandInit,
  type CommandName,
  type DecodedCommand
} from './command.ts'
export {
  BROKER_ENTRY_METADATA_MAGIC,
  CHECKSUM_MAGIC,
  FRAME_PADDING_BYTES,
  frameBytesMaxOf,
  MESSAGE_BYTES_MAX_DEFAULT,
  PROTOCOL_VERSION
} from './constants.ts'
export { wireErrors } from './errors.ts'
export { FrameDecoder, type FrameHandler } from './frame-decoder.ts'
export { ProtoReader } from './proto-reader.ts'
export { varint64Bytes, varintBytes, WriteBuffer } from './write-buffer.ts'
