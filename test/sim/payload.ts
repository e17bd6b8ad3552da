/*
  An entry's payload: its tag (4 bytes, drawn by the writer), then as many bytes as the tag says, all equal to its lowest
  byte. So whoever holds the tag knows the whole payload.
*/
const TAG_BYTES = 4
const FILL_BYTES_MAX = 240

export function payloadOf(tag: number): Buffer {
  const payload = Buffer.allocUnsafe(TAG_BYTES + fillBytes(tag)).fill(tag & 0xff)
  payload.writeUInt32BE(tag)
  return payload
}

/** The tag of a payload; undefined: these are not the bytes that any writer made. */
export function tagOf(payload: Buffer): number | undefined {
  if (payload.length < TAG_BYTES) return undefined
  const tag = payload.readUInt32BE()
  if (payload.length !== TAG_BYTES + fillBytes(tag)) return undefined
  const fill = tag & 0xff
  for (let i = TAG_BYTES; i < payload.length; i++) if (payload[i] !== fill) return undefined
  return tag
}

/** Mostly small. */
function fillBytes(tag: number): number {
  const part = (tag >>> 8) / 0x100_0000
  return Math.floor(part * part * part * FILL_BYTES_MAX)
}
