import { configureTextEncoding } from '@bufbuild/protobuf/wire'

const ASCII_MAX = 0x7f
/** From there on the platform's encoder is the faster one. */
const SHORT = 64
const LONE_SURROGATE = /\p{Surrogate}/u

/**
 * What rows of metadata and of indexes say in text are names: a few plain letters. The platform's encoder, to which the schemas hand
 * each of them, takes five times as long for such a text as its letters do. Of the whole process, and the same bytes for any text.
 */
export function quickenPlainText(): void {
  const encoder = new TextEncoder()
  const decoder = new TextDecoder()
  configureTextEncoding({
    encodeUtf8: text => plainBytes(text) ?? encoder.encode(text),
    decodeUtf8: bytes => decoder.decode(bytes),
    checkUtf8: text => !LONE_SURROGATE.test(text)
  })
}

function plainBytes(text: string): Uint8Array<ArrayBuffer> | undefined {
  const { length } = text
  if (length > SHORT) return undefined
  const bytes = new Uint8Array(length)
  for (let at = 0; at < length; at++) {
    const unit = text.charCodeAt(at)
    if (unit > ASCII_MAX) return undefined
    bytes[at] = unit
  }
  return bytes
}
