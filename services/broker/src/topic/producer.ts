import type { BrokerErrorCode } from '../errors.ts'
import type { BrokerAddress } from '../ownership/contract.ts'
import type { TenantShare } from '../limits/tenant-shares.ts'
import type { Publication } from './publication.ts'
import { Meter, Traffic } from './rate.ts'

export type AccessMode = 'Shared' | 'Exclusive' | 'WaitForExclusive' | 'ExclusiveWithFencing'

/** A client connection as a topic sees it. Calls only append to its output; one flush a tick. */
export interface ProducerConnection {
  readonly connectionId: number
  readonly address: string
  readonly clientVersion: string
  /** Partial-producer support changes how partitioned stats add publishers up. */
  readonly supportsPartialProducer: boolean
  sendReceipt(publication: Publication, producerId: number, ledgerId: number, entryId: number): void
  sendSendError(publication: Publication, producerId: number, code: BrokerErrorCode, message: string): void
  /** The bytes of a publication wait for storage no more. */
  onPublicationSettled(bytes: number, share?: TenantShare): void
  /** CLOSE_PRODUCER, unsolicited: the client creates it again, at `next` if it is told. The connection forgets the producer. */
  closeProducer(producerId: number, next?: BrokerAddress): void
  /** Is the peer alive? A ping, at most 5 s; a dead connection is closed before this resolves with false. */
  probe(): Promise<boolean>
}

export interface ProducerOptions {
  readonly connection: ProducerConnection
  readonly topic: { readonly fullName: string }
  readonly producerId: number
  readonly name: string
  readonly isNameFromClient: boolean
  readonly accessMode: AccessMode
  /** Rises with each creation of this producer by its client. */
  readonly epoch: number
  /** undefined: the client held none. */
  readonly topicEpoch: bigint | undefined
  readonly isEncrypted: boolean
  readonly metadata: Readonly<Record<string, string>>
  readonly schemaVersion: Uint8Array
  readonly connectedSinceMs: number
  /** What its publications are charged to while they wait for storage. */
  readonly share?: TenantShare
}

/** One producer of one connection on one topic, from its admission to its end. Once closed, no receipt goes out any more. */
export class Producer {
  readonly options: ProducerOptions
  readonly traffic = new Traffic()
  readonly chunks = new Meter()
  /** Answered exclusive requests carry it back to the client. */
  topicEpoch: bigint | undefined
  isClosed = false
  #pending = 0
  #onSettled: (() => void)[] = []

  constructor(options: ProducerOptions) {
    this.options = options
  }

  /** Replaces an earlier life of itself: the same client asked again before it was seen to have gone. */
  isSuccessorOf(other: Producer): boolean {
    const mine = this.options
    const theirs = other.options
    return mine.connection === theirs.connection && mine.producerId === theirs.producerId && theirs.epoch < mine.epoch
  }

  /** A publication was taken; one of the calls below settles it. */
  onTaken(): void {
    this.#pending++
  }

  get isPending(): boolean {
    return this.#pending > 0
  }

  /** Resolves once every publication taken so far is settled. */
  async settled(): Promise<void> {
    if (this.#pending === 0) return
    await new Promise<void>(resolve => {
      this.#onSettled.push(resolve)
    })
  }

  onStored(publication: Publication, ledgerId: number, entryId: number): void {
    const { connection, producerId, share } = this.options
    if (!this.isClosed) connection.sendReceipt(publication, producerId, ledgerId, entryId)
    connection.onPublicationSettled(publication.bytes, share)
    this.#settle()
  }

  /** The entry is not in the log, or in doubt: silence, since any answer but a receipt makes clients give up. */
  onLost(publication: Publication): void {
    const { connection, share } = this.options
    connection.onPublicationSettled(publication.bytes, share)
    this.#settle()
  }

  onRefused(publication: Publication, code: BrokerErrorCode, message: string): void {
    const { connection, producerId, share } = this.options
    if (!this.isClosed) connection.sendSendError(publication, producerId, code, message)
    connection.onPublicationSettled(publication.bytes, share)
    this.#settle()
  }

  /** What was taken waits no more: whatever comes of it was taken anew. */
  onUnparked(): void {
    this.#settle()
  }

  #settle(): void {
    if (--this.#pending > 0 || this.#onSettled.length === 0) return
    for (const resolve of this.#onSettled.splice(0)) resolve()
  }

  sample(elapsedSeconds: number): void {
    this.traffic.sample(elapsedSeconds)
    this.chunks.sample(elapsedSeconds)
  }
}
