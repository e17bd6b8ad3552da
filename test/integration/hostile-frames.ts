import { encodeCommand } from '@strata/wire'
import { sendFrame } from '../bench/load/frames.ts'
import type { SeededRandom } from '../support/random.ts'

const TOPIC = 'persistent://public/default/hostile'
const ABSURD = [
  0n,
  1n,
  2n,
  0x7fff_ffffn,
  0xffff_ffffn,
  0x1_0000_0000n,
  (1n << 53n) - 1n,
  1n << 53n,
  (1n << 63n) - 1n,
  (1n << 64n) - 1n
]
const TEXTS = [
  '',
  'x',
  TOPIC,
  'persistent://',
  '://',
  'a/b/c/d/e',
  '\u0000',
  'ü'.repeat(300),
  '*'.repeat(60),
  '..',
  '-partition-',
  'x'.repeat(2000)
]

export const CONNECT = encodeCommand('connect', { clientVersion: 'hostile', protocolVersion: 21 })

/** Frames of every command a client may send, with plausible, missing and absurd fields. */
export function anyFrame(random: SeededRandom): Buffer {
  const id = (): bigint => (random.next() < 0.7 ? BigInt(random.between(0, 3)) : random.pick(ABSURD))
  const name = (): string => (random.next() < 0.5 ? TOPIC : random.pick(TEXTS))
  const place = (): { ledgerId: bigint; entryId: bigint } => ({ ledgerId: id(), entryId: id() })
  const frames: (() => Buffer)[] = [
    () => CONNECT,
    () => encodeCommand('ping', {}),
    () => encodeCommand('pong', {}),
    () => encodeCommand('lookupTopic', { topic: name(), requestId: id(), authoritative: random.next() < 0.5 }),
    () => encodeCommand('partitionMetadata', { topic: name(), requestId: id() }),
    () =>
      encodeCommand('producer', {
        topic: name(),
        producerId: id(),
        requestId: id(),
        producerName: random.pick(['', 'p', 'q']),
        epoch: id()
      }),
    () =>
      encodeCommand('subscribe', {
        topic: name(),
        subscription: random.pick(['s', '', 't']),
        subType: random.pick([0, 1, 2, 3] as const),
        consumerId: id(),
        requestId: id(),
        durable: random.next() < 0.8,
        priorityLevel: random.between(-5, 5)
      }),
    () => encodeCommand('flow', { consumerId: id(), messagePermits: random.pick([0, 1, 1000, 0xffff_ffff]) }),
    () =>
      encodeCommand('ack', {
        consumerId: id(),
        ackType: random.pick([0, 1] as const),
        messageId: Array.from({ length: random.between(0, 5) }, place),
        ...(random.next() < 0.5 ? { requestId: id() } : {})
      }),
    () =>
      encodeCommand('redeliverUnacknowledgedMessages', {
        consumerId: id(),
        messageIds: Array.from({ length: random.between(0, 3) }, place)
      }),
    () => encodeCommand('unsubscribe', { consumerId: id(), requestId: id() }),
    () =>
      encodeCommand('seek', {
        consumerId: id(),
        requestId: id(),
        ...(random.next() < 0.5 ? { messageId: place() } : { messagePublishTime: id() })
      }),
    () => encodeCommand('closeProducer', { producerId: id(), requestId: id() }),
    () => encodeCommand('closeConsumer', { consumerId: id(), requestId: id() }),
    () => encodeCommand('consumerStats', { consumerId: id(), requestId: id() }),
    () => encodeCommand('getLastMessageId', { consumerId: id(), requestId: id() }),
    () =>
      encodeCommand('getTopicsOfNamespace', {
        namespace: random.pick(['public/default', '', 'a/b/c', 'nobody/here']),
        requestId: id()
      }),
    () => encodeCommand('getSchema', { topic: name(), requestId: id() }),
    () =>
      encodeCommand('watchTopicList', {
        namespace: 'public/default',
        requestId: id(),
        watcherId: id(),
        topicsPattern: random.pick(['.*', '(((', 'a'.repeat(51), '(a+)+$'])
      }),
    () => encodeCommand('watchTopicListClose', { requestId: id(), watcherId: id() }),
    () => encodeCommand('newTxn', { requestId: id(), tcId: id() }),
    () => encodeCommand('authResponse', {}),
    () => encodeCommand('success', { requestId: id() }),
    () =>
      sendFrame({
        producerId: random.between(0, 3),
        producerName: 'p',
        sequenceId: random.between(0, 9),
        batch: random.pick([1, 1, 3]),
        bytes: random.between(0, 400)
      })
  ]
  return random.pick(frames)()
}

/** One of the ways in which bytes go wrong. The result may still be a good frame. */
export function damage(frame: Buffer, random: SeededRandom): Buffer {
  const copy = Buffer.from(frame)
  const at = random.between(0, copy.length - 1)
  switch (random.between(0, 6)) {
    case 0:
      return copy
    case 1:
      copy[at] = random.between(0, 255)
      return copy
    case 2: // a length that lies about the frame
      copy.writeUInt32BE(random.pick([0, 1, 3, 4, copy.length, 0x00ff_ffff, 0x7fff_ffff, 0xffff_ffff]), 0)
      return copy
    case 3: // a length that lies about the command
      copy.writeUInt32BE(random.pick([0, 1, copy.length - 8, copy.length, 0x7fff_ffff, 0xffff_ffff]), 4)
      return copy
    case 4: // the rest never comes, or comes from the next frame
      return copy.subarray(0, at)
    case 5: // the length is right and the content is cut
      copy.writeUInt32BE(Math.max(0, at - 4), 0)
      return copy.subarray(0, Math.max(8, at))
    default:
      for (let i = 0; i < 8; i++) copy[random.between(8, copy.length - 1)] = random.between(0, 255)
      return copy
  }
}
