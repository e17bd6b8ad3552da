/** The highest protocol version that this code knows (Apache Pulsar 5.0). */
export const PROTOCOL_VERSION = 21

/** What a peer may send in one message unless configured otherwise: payload plus metadata. */
export const MESSAGE_BYTES_MAX_DEFAULT = 5 * 1024 * 1024

/** A frame may be this much longer than the largest message, for its command. */
export const FRAME_PADDING_BYTES = 10 * 1024

/** In front of the four bytes of CRC32C. */
export const CHECKSUM_MAGIC = 0x0e01

/** In front of the broker's own metadata, before the checksum. */
export const BROKER_ENTRY_METADATA_MAGIC = 0x0e02

export const LENGTH_BYTES = 4

/** The bytes of `totalSize` and `cmdSize`. */
export const FRAME_PREFIX_BYTES = 8

/** The largest `totalSize` that is accepted while messages of `messageBytesMax` are allowed. */
export function frameBytesMaxOf(messageBytesMax: number): number {
  return messageBytesMax + FRAME_PADDING_BYTES
}
