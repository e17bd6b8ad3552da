import type { BookieId, EntryId, LedgerId } from '@strata/base'
import { AddStretch, type AddFailure, type AddRequest, type AddSink, type BookieNode } from '@strata/ledger-client'
import type { SimNetwork } from './sim-network.ts'
import type { SimProcess } from './sim-process.ts'

/** A run of adds by one sink to one ledger with an answer owed all the while. */
interface Channel {
  readonly number: number
  readonly ledgerId: LedgerId
  readonly sink: AddSink
  lastSent: EntryId
  waitingSinceMs: number
}

interface Sent {
  readonly channel: number
  readonly request: AddRequest
}

interface Answer {
  readonly channel: number
  readonly entryId: EntryId
  readonly failure: AddFailure | undefined
}

/** What `queueMicrotask` does, without its own asynchronous context: a third of the cost of a message. */
const SOON = Promise.resolve()

/** That a client hears of the end of a node's process before it sends anything. */
const RESET_CHANCE = 0.7

/**
 * One stream of adds from a process to a node. Those of a turn go in one message, and so do the answers.
 *
 * Invariants
 *   A1  Messages arrive in order, each once; behind a lost one, none.
 *   A2  When it breaks, everything unanswered fails at once; later answers are dropped, while messages under way may
 *       still reach the node.
 */
export class AddStream {
  readonly #network: SimNetwork
  readonly #process: SimProcess
  readonly #bookieId: BookieId
  readonly #timeoutMs: number
  readonly #channels = new Map<number, Channel>()
  #next = 1
  #isBroken = false
  /** A message was lost: no later one arrives. */
  #isCutOff = false
  #outgoing: Sent[] = []
  /** Sent, the first one first: two that come at the same moment may be called in either order. */
  readonly #underWay: (readonly Sent[])[] = []
  #lastArrivalMs = 0
  #server: ServerEnd | undefined
  #cancelCheck: (() => void) | undefined
  readonly #flushSoon = (): void => {
    this.#flush()
  }

  constructor(network: SimNetwork, options: { process: SimProcess; bookieId: BookieId; timeoutMs: number }) {
    this.#network = network
    this.#process = options.process
    this.#bookieId = options.bookieId
    this.#timeoutMs = options.timeoutMs
    this.#network.connect(this.#bookieId, this)
  }

  get isBroken(): boolean {
    return this.#isBroken
  }

  add(request: AddRequest, sink: AddSink): void {
    const channel = this.#channelOf(request, sink)
    if (this.#outgoing.push({ channel, request }) === 1) void SOON.then(this.#flushSoon)
  }

  onAnswers(answers: readonly Answer[]): void {
    if (this.#isBroken) return
    for (const { channel: number, entryId, failure } of answers) {
      const channel = this.#channels.get(number)
      if (channel === undefined) continue
      channel.waitingSinceMs = this.#process.nowMs()
      if (entryId >= channel.lastSent) this.#channels.delete(number)
      if (failure === undefined) channel.sink.onAdded(channel.ledgerId, entryId)
      else channel.sink.onAddFailed(channel.ledgerId, entryId, failure)
    }
  }

  /** As a connection that is reset, if that gets through: whoever owes nothing goes on over another stream, and nothing failed. */
  onPeerGone(): void {
    const isCut = this.#network.isCut(this.#bookieId, this.#process.name)
    if (!isCut && this.#network.random.chance(RESET_CHANCE)) this.#breakSoon()
  }

  break(): void {
    if (this.#isBroken) return
    this.#isBroken = true
    this.#network.disconnect(this.#bookieId, this)
    this.#cancelCheck?.()
    this.#outgoing = []
    const owed = [...this.#channels.values()]
    this.#channels.clear()
    for (const { sink, ledgerId, lastSent } of owed) sink.onAddFailed(ledgerId, lastSent, 'UNREACHABLE')
  }

  #channelOf(request: AddRequest, sink: AddSink): number {
    for (const channel of this.#channels.values()) {
      if (channel.sink !== sink || channel.ledgerId !== request.ledgerId) continue
      channel.lastSent = request.entryId
      return channel.number
    }
    const number = this.#next++
    const { ledgerId, entryId } = request
    this.#channels.set(number, { number, ledgerId, sink, lastSent: entryId, waitingSinceMs: this.#process.nowMs() })
    return number
  }

  #flush(): void {
    const batch = this.#outgoing
    this.#outgoing = []
    if (this.#isBroken || batch.length === 0) return
    const network = this.#network
    const from = this.#process.name
    const to = this.#bookieId
    const nowMs = network.scheduler.nowMs
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, nowMs + network.delayMs(from, to)) // A1
    this.#underWay.push(batch)
    network.scheduler.post(undefined, this.#lastArrivalMs - nowMs, () => {
      network.arriveOrWait(from, to, () => this.#arrive(this.#underWay.shift() ?? []))
    })
    this.#checkLater()
  }

  #arrive(batch: readonly Sent[]): void {
    const network = this.#network
    const listener = network.listenerOf(this.#bookieId)
    if (this.#isCutOff) return // A1
    if (network.random.chance(network.trouble.broken)) {
      this.#breakSoon()
      this.#isCutOff = network.random.chance(0.5) // the message is lost with it, and so are those behind
      if (this.#isCutOff) return
    }
    this.#server ??= listener === undefined ? undefined : new ServerEnd(network, { stream: this, ...listener })
    // A node that was started again knows nothing of a stream to the one before it.
    if (listener === undefined || this.#server?.process !== listener.process) {
      this.#isCutOff = true
      this.#breakSoon()
      return
    }
    this.#server.receive(batch, { client: this.#process, bookieId: this.#bookieId })
  }

  #breakSoon(): void {
    this.#process.post(this.#network.delayMs(this.#bookieId, this.#process.name), () => this.break())
  }

  /** One timer a stream, which runs only while an answer is owed. */
  #checkLater(): void {
    this.#cancelCheck ??= this.#process.after(this.#timeoutMs / 2, () => {
      this.#cancelCheck = undefined
      if (this.#channels.size === 0) return
      const oldestMs = Math.min(...[...this.#channels.values()].map(channel => channel.waitingSinceMs))
      if (oldestMs + this.#timeoutMs > this.#process.nowMs()) this.#checkLater()
      else this.break()
    })
  }
}

type AddDoor = Pick<BookieNode, 'add' | 'addStretch'>

/** The end of the adds from `from` on that can be handed over together. */
function endOfStretch(batch: readonly Sent[], from: number): number {
  let to = from + 1
  for (; to < batch.length; to++) {
    const before = batch[to - 1]
    const next = batch[to]
    const isNext = before?.channel === next?.channel && (before?.request.entryId ?? 0) < (next?.request.entryId ?? 0)
    if (!isNext || before?.request.recovery === true || next?.request.recovery === true) break
  }
  return to
}

/** The node's end: hands adds over in order, and answers back in order. */
class ServerEnd {
  readonly process: SimProcess
  readonly #network: SimNetwork
  readonly #stream: AddStream
  readonly #node: AddDoor
  readonly #sinks = new Map<number, AddSink>()
  #answers: Answer[] = []
  readonly #underWay: (readonly Answer[])[] = []
  #lastArrivalMs = 0

  constructor(network: SimNetwork, options: { stream: AddStream; process: SimProcess; node: AddDoor }) {
    this.#network = network
    this.#stream = options.stream
    this.process = options.process
    this.#node = options.node
  }

  receive(batch: readonly Sent[], link: { client: SimProcess; bookieId: BookieId }): void {
    this.process.enter(() => {
      for (let from = 0; from < batch.length;) {
        const to = endOfStretch(batch, from)
        this.#hand(batch, { from, to }, link)
        from = to
      }
    })
  }

  /** Those of one channel that follow each other go together, as they do over gRPC. */
  #hand(
    batch: readonly Sent[],
    { from, to }: { from: number; to: number },
    link: { client: SimProcess; bookieId: BookieId }
  ): void {
    const first = batch[from]
    if (first === undefined) return
    const sink = this.#sinkOf(first.channel, link)
    if (to - from === 1 || this.#node.addStretch === undefined) {
      for (let i = from; i < to; i++) this.#node.add((batch[i] ?? first).request, sink)
    } else this.#node.addStretch(AddStretch.of(batch.slice(from, to).map(({ request }) => request)), sink)
  }

  #sinkOf(channel: number, link: { client: SimProcess; bookieId: BookieId }): AddSink {
    let sink = this.#sinks.get(channel)
    if (sink === undefined) {
      sink = {
        onAdded: (_, entryId) => this.#answer({ channel, entryId, failure: undefined }, link),
        onAddFailed: (_, entryId, failure) => this.#answer({ channel, entryId, failure }, link)
      }
      this.#sinks.set(channel, sink)
    }
    return sink
  }

  #answer(answer: Answer, link: { client: SimProcess; bookieId: BookieId }): void {
    if (this.process.isDead || this.#answers.push(answer) > 1) return
    void SOON.then(() => this.#flush(link))
  }

  #flush({ client, bookieId }: { client: SimProcess; bookieId: BookieId }): void {
    const answers = this.#answers
    this.#answers = []
    const network = this.#network
    const nowMs = network.scheduler.nowMs
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, nowMs + network.delayMs(bookieId, client.name))
    this.#underWay.push(answers)
    network.scheduler.post(client, this.#lastArrivalMs - nowMs, () => {
      network.arriveOrWait(bookieId, client.name, () => this.#stream.onAnswers(this.#underWay.shift() ?? []))
    })
  }
}
