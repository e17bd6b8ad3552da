import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

const FRAME_HEADER_BYTES = 9
const HEADERS_FRAME = 1
const STREAM_AT = 5
const PREFACE_BYTES = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'.length

/** What happens to the next request (its first frame), or to the next answer to one. */
export type Fault = 'pass request' | 'hold request' | 'cut at request' | 'cut at answer'

interface Pair {
  readonly client: Socket
  readonly server: Socket
  /** Bytes of the client that wait to be released. */
  held: Buffer[] | undefined
  /** Requests that are not answered yet, by the number of their stream. */
  readonly open: Set<number>
}

/**
 * A TCP proxy that knows where HTTP/2's frames begin, and so can break a connection between a request and its answer.
 * Everything is an event: nothing depends on how long anything takes.
 */
export class FaultyProxy {
  readonly #server: Server
  #target: { readonly host: string; readonly port: number }
  readonly #pairs = new Set<Pair>()
  #faults: Fault[] = []
  #isSilent = false
  #waiters: (() => void)[] = []
  /** Faults that have happened. */
  faultCount = 0
  /** Answers whose first frame came from the server, whether they were passed on or not. */
  answerCount = 0
  connectionCount = 0

  private constructor(server: Server, target: { host: string; port: number }) {
    this.#server = server
    this.#target = target
    server.on('connection', client => this.#accept(client))
  }

  static async open(target: string): Promise<FaultyProxy> {
    const server = createServer({ noDelay: true }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new FaultyProxy(server, parse(target))
  }

  get endpoint(): string {
    return `127.0.0.1:${this.port}`
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Connections go elsewhere from now on, and those that stand are cut. */
  turnTo(target: string): void {
    this.#target = parse(target)
    this.cut()
  }

  /** One fault a request. */
  failNext(...faults: Fault[]): void {
    this.#faults.push(...faults)
  }

  failNoMore(): void {
    this.#faults = []
  }

  /** Nothing is passed on any more, in either direction, and no connection is closed. */
  silence(): void {
    this.#isSilent = true
  }

  /** Connections that were silent are closed, since bytes of theirs are lost. */
  heal(): void {
    this.#isSilent = false
    this.cut()
  }

  cut(): void {
    for (const { client, server, held } of [...this.#pairs]) {
      client.destroy()
      if (held === undefined) server.destroy()
    }
  }

  /** Hands held requests to the server, also those of clients that are gone. */
  release(): void {
    for (const pair of this.#pairs) {
      for (const bytes of pair.held ?? []) pair.server.write(bytes)
      pair.held = undefined
    }
  }

  /** Until `isReached`, which is asked at every event. */
  async until(isReached: (proxy: FaultyProxy) => boolean): Promise<void> {
    while (!isReached(this)) await new Promise<void>(resolve => this.#waiters.push(resolve))
  }

  async close(): Promise<void> {
    const closed = once(this.#server, 'close')
    this.#server.close()
    for (const { client, server } of this.#pairs) {
      client.destroy()
      server.destroy()
    }
    await closed
  }

  #accept(client: Socket): void {
    // frames of one answer come in writes of their own: what waits for an acknowledgement of the one before takes 40 ms more
    const server = connect({ ...this.#target, noDelay: true })
    const pair: Pair = { client, server, held: undefined, open: new Set() }
    this.#pairs.add(pair)
    this.connectionCount += 1
    const requests = new FrameReader(PREFACE_BYTES)
    const answers = new FrameReader(0)
    client.on('data', bytes => this.#fromClient(pair, bytes, requests.headersIn(bytes)))
    server.on('data', bytes => this.#fromServer(pair, bytes, answers.headersIn(bytes)))
    for (const socket of [client, server]) socket.on('error', () => undefined)
    client.on('close', () => {
      if (pair.held === undefined) server.destroy()
    })
    server.on('close', () => {
      client.destroy()
      this.#pairs.delete(pair)
    })
    this.#wake()
  }

  #fromClient(pair: Pair, bytes: Buffer, requests: readonly number[]): void {
    for (const request of requests) pair.open.add(request)
    const isRequest = requests.length > 0
    if (this.#isSilent) return
    if (pair.held !== undefined) {
      pair.held.push(bytes)
      return
    }
    const [fault] = this.#faults
    if (!isRequest || fault === undefined || fault === 'cut at answer') {
      pair.server.write(bytes)
      return
    }
    this.#faults.shift()
    if (fault === 'pass request') pair.server.write(bytes)
    else if (fault === 'hold request') pair.held = [bytes]
    else pair.client.destroy()
    this.#happened()
  }

  #fromServer(pair: Pair, bytes: Buffer, headers: readonly number[]): void {
    // the other headers are what comes at the end of an answer
    const answers = headers.filter(request => pair.open.delete(request))
    const isAnswer = answers.length > 0
    this.answerCount += answers.length
    if (this.#isSilent) return
    if (isAnswer && this.#faults[0] === 'cut at answer') {
      this.#faults.shift()
      pair.client.destroy()
      this.#happened()
      return
    }
    if (!pair.client.destroyed) pair.client.write(bytes)
    this.#wake()
  }

  #happened(): void {
    this.faultCount += 1
    this.#wake()
  }

  #wake(): void {
    const waiters = this.#waiters
    this.#waiters = []
    for (const wake of waiters) wake()
  }
}

function parse(target: string): { host: string; port: number } {
  const [host = '', port = ''] = target.split(':')
  return { host, port: Number(port) }
}

/** Finds where frames begin in one direction of a connection. */
class FrameReader {
  #skip: number
  #header = Buffer.alloc(0)

  constructor(prefaceBytes: number) {
    this.#skip = prefaceBytes
  }

  /** The streams of the frames with headers that begin in `bytes`. */
  headersIn(bytes: Buffer): number[] {
    const found: number[] = []
    for (let at = 0; at < bytes.length;) {
      const skipped = Math.min(this.#skip, bytes.length - at)
      this.#skip -= skipped
      at += skipped
      const missing = FRAME_HEADER_BYTES - this.#header.length
      this.#header = Buffer.concat([this.#header, bytes.subarray(at, at + missing)])
      at += missing
      if (this.#header.length < FRAME_HEADER_BYTES) break
      if (this.#header[3] === HEADERS_FRAME) found.push(this.#header.readUInt32BE(STREAM_AT))
      this.#skip = this.#header.readUIntBE(0, 3)
      this.#header = Buffer.alloc(0)
    }
    return found
  }
}
