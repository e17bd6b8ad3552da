import { CodedError, type BookieId } from '@strata/base'
import type { BookieNode } from '@strata/ledger-client'
import type { Random } from './random.ts'
import type { Scheduler } from './scheduler.ts'
import type { SimProcess } from './sim-process.ts'

/** What the network does to everything that passes. */
export interface NetworkTrouble {
  /** Chance that a request or an answer outside the add streams is lost. */
  lost: number
  /** Chance that such a request arrives twice. */
  duplicated: number
  /** Chance, per message of an add stream, that the stream breaks. */
  broken: number
}

const HEALTHY: Readonly<NetworkTrouble> = { lost: 0, duplicated: 0, broken: 0 }
const DELAY_MS = 0.2

/** Something that knows when the other end is gone. */
interface Connected {
  onPeerGone(): void
}

interface Listening {
  readonly process: SimProcess
  readonly node: BookieNode
}

/**
 * The network between processes and nodes. Links are directed: each may be cut or slow by itself.
 *
 * Invariants
 *   L1  Messages of one add stream arrive in order, and each once; across streams, and among other requests, any order.
 *   L2  On a cut link nothing arrives: stream messages wait until it is whole again (and arrive even if the stream was
 *       given up meanwhile), others are lost.
 */
export class SimNetwork {
  readonly trouble: NetworkTrouble = { ...HEALTHY }
  readonly scheduler: Scheduler
  readonly random: Random
  readonly #listening = new Map<BookieId, Listening>()
  readonly #cut = new Set<string>()
  readonly #slow = new Map<string, number>()
  /** By the node at the other end. */
  readonly #connected = new Map<BookieId, Set<Connected>>()
  /** Stream messages that wait on a cut link, in order. */
  readonly #waiting = new Map<string, (() => void)[]>()
  messageCount = 0

  constructor(scheduler: Scheduler, random: Random) {
    this.scheduler = scheduler
    this.random = random
  }

  listen(bookie: BookieId, process: SimProcess, node: BookieNode): void {
    this.#listening.set(bookie, { process, node })
  }

  /** Its process is gone: who is connected to it hears of that, or not. */
  unlisten(bookie: BookieId): void {
    this.#listening.delete(bookie)
    for (const peer of this.#connected.get(bookie) ?? []) peer.onPeerGone()
  }

  connect(bookie: BookieId, peer: Connected): void {
    const peers = this.#connected.get(bookie)
    if (peers === undefined) this.#connected.set(bookie, new Set([peer]))
    else peers.add(peer)
  }

  disconnect(bookie: BookieId, peer: Connected): void {
    this.#connected.get(bookie)?.delete(peer)
  }

  listenerOf(bookie: BookieId): Listening | undefined {
    const listening = this.#listening.get(bookie)
    return listening === undefined || listening.process.isDead ? undefined : listening
  }

  cut(from: string, to: string): void {
    this.#cut.add(linkOf(from, to))
  }

  slow(from: string, to: string, factor: number): void {
    this.#slow.set(linkOf(from, to), factor)
  }

  mend(from: string, to: string): void {
    const link = linkOf(from, to)
    this.#slow.delete(link)
    if (this.#cut.delete(link)) this.#release(link)
  }

  heal(): void {
    Object.assign(this.trouble, HEALTHY)
    this.#slow.clear()
    const links = [...this.#cut]
    this.#cut.clear()
    for (const link of links) this.#release(link)
  }

  isCut(from: string, to: string): boolean {
    return this.#cut.size > 0 && this.#cut.has(linkOf(from, to))
  }

  delayMs(from: string, to: string): number {
    const delayMs = this.random.skewed(DELAY_MS * 0.5, DELAY_MS * 8)
    return this.#slow.size === 0 ? delayMs : delayMs * (this.#slow.get(linkOf(from, to)) ?? 1)
  }

  /** One message outside the streams: lost on a cut link, or by chance. `arrive` runs where `owner` lives. */
  send(owner: SimProcess | undefined, link: { from: string; to: string }, arrive: () => void): void {
    const { from, to } = link
    if (this.random.chance(this.trouble.lost)) return
    this.scheduler.post(owner, this.delayMs(from, to), () => {
      if (this.isCut(from, to)) return
      this.messageCount++
      arrive()
    })
  }

  /** A message of a stream whose time has come: waits while the link is cut. */
  arriveOrWait(from: string, to: string, arrive: () => void): void {
    if (this.isCut(from, to)) {
      const link = linkOf(from, to)
      const waiting = this.#waiting.get(link)
      if (waiting === undefined) this.#waiting.set(link, [arrive])
      else waiting.push(arrive)
      return
    }
    this.messageCount++
    arrive()
  }

  /** What is no operating error of a node is a bug, and ends the run. */
  checkError(error: unknown): CodedError {
    if (error instanceof CodedError) return error as CodedError
    this.scheduler.fail(error)
    throw error
  }

  #release(link: string): void {
    const waiting = this.#waiting.get(link) ?? []
    this.#waiting.delete(link)
    for (const arrive of waiting) {
      this.messageCount++
      arrive()
    }
  }
}

function linkOf(from: string, to: string): string {
  return `${from}>${to}`
}
