import { appendWordCrc32c, combineCrc32c } from '@strata/base'
import {
  CHECKSUM_MAGIC,
  crc32c,
  decodeSend,
  encodeCommand,
  MetadataView,
  readMessageMetadata,
  SendView
} from '@strata/wire'
import { brokerErrors, type BrokerErrorCode } from '../errors.ts'
import { ProducerSends } from '../limits/parked-sends.ts'
import type { TenantShare } from '../limits/tenant-shares.ts'
import type { Producer } from '../topic/producer.ts'
import type { ProducerSlot } from './context.ts'

type ReadySlot = ProducerSlot & { kind: 'ready' }

export interface SendHost {
  readonly producers: ReadonlyMap<number, ProducerSlot>
  /** Did the broker close this producer a moment ago? */
  wasClosedByBroker(producerId: number): boolean
  /** Charges the payload, to a tenant too once it is on its way; settled by the producer's `onPublicationSettled`. */
  onTaken(bytes: number, share?: TenantShare): void
  /** The same for what waits because its topic's publish rate is used up; `onUnparked` ends it. */
  onUnparked(bytes: number): void
  sendFrame(frame: Buffer): void
  close(reason: string): void
}

const MAGIC_BYTES = 2
const MAGIC_AND_CHECKSUM_BYTES = 6
const MAGIC_CRC = crc32c(Buffer.from([CHECKSUM_MAGIC >> 8, CHECKSUM_MAGIC & 0xff]))

/** SENDs of one connection, read in place: nothing is made per message but the slice that is stored. */
export class SendPath {
  readonly #host: SendHost
  readonly #send = new SendView()
  readonly #metadata = new MetadataView()
  /** Of producers that were ever slowed down. */
  readonly #parked = new WeakMap<Producer, ProducerSends>()

  constructor(host: SendHost) {
    this.#host = host
  }

  /** @throws MALFORMED_FRAME */
  onFrame(buffer: Buffer, start: number, end: number): void {
    const send = this.#send
    decodeSend(buffer, start, end, send)
    const slot = this.#host.producers.get(send.producerId)
    if (slot === undefined) {
      if (!this.#host.wasClosedByBroker(send.producerId)) this.#host.close('SEND of a producer that it does not have')
      return
    }
    if (slot.kind === 'creating') {
      this.#host.close('SEND before the producer is ready')
      return
    }
    if (slot.topic.publishThrottle?.isOpen() === false) this.#park(slot, buffer.subarray(start, end))
    else this.#publish(slot, buffer, end)
  }

  /** What `onFrame` decoded. */
  #publish(slot: ReadySlot, buffer: Buffer, end: number): void {
    const send = this.#send
    const payload = buffer.subarray(send.headersStart, end)
    const checksum = isChecked(payload) ? crc32c(payload) : undefined
    if (checksum !== undefined && !isIntact(payload, checksum)) {
      this.#refuse('ChecksumError', 'Checksum failed on the broker')
      return
    }
    readMessageMetadata(buffer, send.headersStart, end, this.#metadata)
    if (!this.#isAllowed(slot, payload.length)) return
    if (send.numMessages < 1) send.numMessages = 1
    this.#host.onTaken(payload.length, slot.producer.options.share)
    slot.topic.publishThrottle?.spend(send.numMessages, payload.length)
    slot.topic.publish(slot.producer, send, payload, checksum)
  }

  #park(slot: ReadySlot, frame: Buffer): void {
    const { producer, topic } = slot
    let sends = this.#parked.get(producer)
    if (sends === undefined) {
      sends = new ProducerSends(producer, {
        onParked: bytes => {
          this.#host.onTaken(bytes)
        },
        onUnparked: bytes => {
          this.#host.onUnparked(bytes)
        },
        publish: parked => {
          decodeSend(parked, 0, parked.length, this.#send)
          this.#publish(slot, parked, parked.length)
          this.close()
        }
      })
      this.#parked.set(producer, sends)
    }
    const isWaiting = !sends.isEmpty
    sends.add(frame)
    if (!isWaiting) topic.publishThrottle?.park(sends)
  }

  /** Of what was read nothing is kept alive. */
  close(): void {
    this.#send.reader.close()
    this.#metadata.reader.close()
  }

  /** What is rare is asked last and answered here. */
  #isAllowed(slot: ReadySlot, bytes: number): boolean {
    const send = this.#send
    const { topic } = slot
    if (this.#metadata.brokerMetadataStart >= 0) {
      this.#host.close('SEND with metadata that only a broker writes')
      return false
    }
    if (topic.isTerminated) return this.#refuse('TopicTerminatedError', 'Topic was already terminated')
    const { maxMessageBytes } = topic.policies
    if (maxMessageBytes > 0 && bytes > maxMessageBytes) {
      return this.#refuse('NotAllowedError', 'Exceed maximum message size')
    }
    if (send.hasTxn) return this.#refuse('NotAllowedError', 'Transactions are not enabled.')
    if (send.hasMessageId)
      return this.#refuse('NotAllowedError', 'Only shadow topics supports sending messages with messageId')
    if (topic.policies.encryptionRequired && this.#metadata.encryptionKeyCount === 0) {
      return this.#refuse('MetadataError', 'Messages must be encrypted')
    }
    return true
  }

  #refuse(code: BrokerErrorCode, message: string): false {
    const send = this.#send
    const isHighest = send.highestHigh > send.sequenceHigh || send.highestLow > send.sequenceLow
    const high = send.hasHighest && isHighest ? send.highestHigh : send.sequenceHigh
    const low = send.hasHighest && isHighest ? send.highestLow : send.sequenceLow
    this.#host.sendFrame(
      encodeCommand('sendError', {
        producerId: BigInt(send.producerId),
        sequenceId: (BigInt(high) << 32n) | BigInt(low),
        error: brokerErrors[code].wire,
        message
      })
    )
    return false
  }
}

/** Does the message carry its own checksum? Looked at before anything else of the headers. */
function isChecked(payload: Buffer): boolean {
  return payload.length >= MAGIC_AND_CHECKSUM_BYTES && payload.readUInt16BE(0) === CHECKSUM_MAGIC
}

/**
 * Is the message's own checksum that of all behind it? Told from the checksum of the whole payload, which storage wants
 * anyway: one pass over the bytes, and no view of a part of them.
 */
function isIntact(payload: Buffer, checksum: number): boolean {
  const stated = payload.readUInt32BE(MAGIC_BYTES)
  const coveredBytes = payload.length - MAGIC_AND_CHECKSUM_BYTES
  return combineCrc32c(appendWordCrc32c(MAGIC_CRC, stated), stated, coveredBytes) === checksum
}
