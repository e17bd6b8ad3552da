export * from './generated/PulsarApi_pb.ts'
export { crc32c } from '@node-rs/crc32'
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
export {
  readBrokerEntryMetadata,
  writeBrokerEntryMetadata,
  type BrokerEntryMetadataFields
} from './broker-entry-metadata.ts'
export { javaStringHash, murmur3_32 } from './hash.ts'
export {
  AckView,
  decodeAck,
  decodeFlow,
  decodeMessage,
  decodeSend,
  decodeSendReceipt,
  FlowView,
  IdList,
  MessageView,
  ReceiptView,
  SendView
} from './hot-commands.ts'
export {
  writeAck,
  writeAckResponse,
  writeFlow,
  writeMessageHeader,
  writePing,
  writePong,
  writeSendHeader,
  writeSendReceipt,
  type AckedIds,
  type AckSet,
  type SendCommand
} from './hot-writers.ts'
export {
  checksumOf,
  MetadataView,
  readMessageMetadata,
  skipBrokerEntryMetadata,
  stickyHashOf,
  stickyKeyHash,
  verifyChecksum
} from './message-metadata.ts'
export { readEntryProperties, readSingleMessage, type Properties, type SingleMessage } from './metadata-reader.ts'
export {
  highHalf,
  joinHalves,
  lowHalf,
  singleMessageBytesMax,
  writeMessageMetadata,
  writeSingleMessageMetadata,
  type EntryFields,
  type MessageFields
} from './metadata-writer.ts'
