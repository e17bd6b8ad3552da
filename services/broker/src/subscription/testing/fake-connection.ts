import type { ConsumerConnection, Delivery } from '../../contract.ts'

export interface Sent {
  readonly consumerId: number
  readonly ledgerId: number
  readonly entryId: number
  readonly redeliveryCount: number
  readonly consumerEpoch: number | undefined
  readonly ackSet: Int32Array | undefined
  readonly payload: Buffer
}

/** A connection that notes what goes out, and whose socket opens and closes by hand. */
export class FakeConnection implements ConsumerConnection {
  readonly connectionId: number
  readonly address = '/127.0.0.1:1234'
  readonly clientVersion = 'test'
  readonly protocolVersion = 21
  readonly sent: Sent[] = []
  /** Everything else that went out, in words. */
  readonly events: string[] = []
  isAlive = true
  probes = 0
  onProbe: () => void = () => {}
  onMessage: (sent: Sent) => void = () => {}
  #isOpen = true
  #waiting: (() => void)[] = []

  constructor(connectionId = 1) {
    this.connectionId = connectionId
  }

  get isWritable(): boolean {
    return this.#isOpen
  }
  set isWritable(isOpen: boolean) {
    this.#isOpen = isOpen
    if (!isOpen) return
    const waiting = this.#waiting
    this.#waiting = []
    for (const run of waiting) run()
  }
  onWritable(run: () => void): void {
    this.#waiting.push(run)
  }
  sendMessage(delivery: Delivery): void {
    const { consumerId, entry, redeliveryCount, consumerEpoch, ackSet } = delivery
    const { ledgerId, entryId, payload } = entry
    const sent = { consumerId, ledgerId, entryId, redeliveryCount, consumerEpoch, ackSet, payload }
    this.sent.push(sent)
    this.onMessage(sent)
  }
  sendActiveConsumerChange(consumerId: number, isActive: boolean): void {
    this.events.push(`${consumerId} ${isActive ? 'active' : 'inactive'}`)
  }
  sendReachedEndOfTopic(consumerId: number): void {
    this.events.push(`${consumerId} end`)
  }
  closeConsumer(consumerId: number): void {
    this.events.push(`${consumerId} closed`)
  }
  probe(): Promise<boolean> {
    this.probes++
    this.onProbe()
    return Promise.resolve(this.isAlive)
  }
}
