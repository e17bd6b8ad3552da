import { strict as assert } from 'node:assert'
import {
  Client,
  connectivityState,
  credentials,
  Metadata,
  type ChannelCredentials,
  type ClientDuplexStream
} from '@grpc/grpc-js'
import type { Clock } from '@strata/base'
import { EtcdFailure, failureOf } from './etcd-failure.ts'

export interface EtcdTls {
  /** PEM. Without it, the authorities that Node trusts. */
  readonly ca?: string | Buffer
  /** PEM of the client's own certificate and key, where the server asks for them. */
  readonly cert?: string | Buffer
  readonly key?: string | Buffer
}

export interface EtcdStream {
  write(message: Uint8Array): void
  /** Nothing is heard of it any more. */
  close(): void
}

export interface StreamListener {
  onMessage(bytes: Buffer): void
  /** Once, unless it was closed before. */
  onEnd(failure: EtcdFailure): void
}

/** A connection is tried for this long before the next member has its turn. */
const CONNECT_TIMEOUT_MS = 2_000

const CHANNEL_OPTIONS = {
  // the largest answer is a page of a scan; bounded by what is asked for
  'grpc.max_receive_message_length': -1,
  // the least interval that etcd accepts by default is 5 s
  'grpc.keepalive_time_ms': 6_000,
  'grpc.keepalive_timeout_ms': 3_000,
  'grpc.initial_reconnect_backoff_ms': 100,
  'grpc.max_reconnect_backoff_ms': 1_000,
  'grpc.enable_http_proxy': 0,
  'grpc.service_config_disable_resolution': 1,
  // connections of two stores in one process must not hang on each other
  'grpc.use_local_subchannel_pool': 1
}

const asBuffer = (message: Buffer): Buffer => message

/**
 * The members of one etcd cluster. Every request goes to the member in turn; who fails one gives the turn to the next.
 * Each call is one attempt with a time-out by the clock, and never repeated here.
 */
export class EtcdMembers {
  readonly #clients: readonly Client[]
  readonly #clock: Clock
  #current = 0

  /** @param options.endpoints  host:port of each member */
  constructor(options: { endpoints: readonly string[]; tls?: EtcdTls | undefined; clock: Clock }) {
    assert(options.endpoints.length > 0, 'at least one endpoint')
    const channel = channelCredentials(options.tls)
    this.#clients = options.endpoints.map(endpoint => new Client(endpoint, channel, CHANNEL_OPTIONS))
    this.#clock = options.clock
  }

  /** @throws EtcdFailure */
  async call(
    path: string,
    request: Uint8Array,
    { token, timeoutMs }: { token: string | undefined; timeoutMs: number }
  ): Promise<Buffer> {
    const endMs = this.#clock.nowMs() + timeoutMs
    const turn = this.#current
    try {
      const client = await this.#connected(turn, timeoutMs)
      return await this.#ask(client, { path, request, token, timeoutMs: Math.max(1, endMs - this.#clock.nowMs()) })
    } catch (error) {
      if (error instanceof EtcdFailure && error.isPassing) this.#passTurn(turn)
      throw error
    }
  }

  /** @throws EtcdFailure */
  async stream(path: string, token: string | undefined, listener: StreamListener): Promise<EtcdStream> {
    const turn = this.#current
    let client: Client
    try {
      client = await this.#connected(turn, CONNECT_TIMEOUT_MS)
    } catch (error) {
      this.#passTurn(turn)
      throw error
    }
    const call: ClientDuplexStream<Buffer, Buffer> = client.makeBidiStreamRequest(
      path,
      asBuffer,
      asBuffer,
      headers(token)
    )
    let isOver = false
    const end = (failure: EtcdFailure): void => {
      if (isOver) return
      isOver = true
      this.#passTurn(turn)
      listener.onEnd(failure)
    }
    call.on('data', (bytes: Buffer) => {
      if (!isOver) listener.onMessage(bytes)
    })
    call.on('error', (error: Parameters<typeof failureOf>[0]) => end(failureOf(error)))
    call.on('end', () => end(new EtcdFailure('unclear', 'the stream ended')))
    return {
      write: message => void call.write(asBytes(message)),
      close: () => {
        isOver = true
        call.cancel()
      }
    }
  }

  /** What is pending fails. */
  close(): void {
    for (const client of this.#clients) client.close()
  }

  #passTurn(turn: number): void {
    if (this.#current === turn) this.#current = (turn + 1) % this.#clients.length
  }

  /** A request is sent on a connection that stands: so it is known that nothing was sent when there is none. */
  #connected(turn: number, timeoutMs: number): Promise<Client> {
    const client = this.#clients[turn]
    assert(client !== undefined)
    return new Promise((resolve, reject) => {
      let isOver = false
      const settle = (failure?: string): void => {
        isOver = true
        cancelTimer()
        if (failure === undefined) resolve(client)
        else reject(new EtcdFailure('unsent', failure))
      }
      const cancelTimer = this.#clock.after(Math.min(timeoutMs, CONNECT_TIMEOUT_MS), () =>
        settle('no connection in time')
      )
      const look = (): void => {
        if (isOver) return
        try {
          const channel = client.getChannel()
          const state = channel.getConnectivityState(true)
          if (state === connectivityState.READY) settle()
          else if (state === connectivityState.TRANSIENT_FAILURE) settle('cannot connect')
          else channel.watchConnectivityState(state, Infinity, look)
        } catch {
          settle('the connection is closed') // its channel says so by throwing
        }
      }
      look()
    })
  }

  #ask(
    client: Client,
    options: { path: string; request: Uint8Array; token: string | undefined; timeoutMs: number }
  ): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const call = client.makeUnaryRequest(
        options.path,
        asBuffer,
        asBuffer,
        asBytes(options.request),
        headers(options.token),
        (error, answer) => {
          cancelTimer()
          if (error !== null) reject(failureOf(error))
          else if (answer === undefined) reject(new EtcdFailure('unclear', 'an empty answer'))
          else resolve(answer)
        }
      )
      const cancelTimer = this.#clock.after(options.timeoutMs, () => {
        reject(new EtcdFailure('unclear', 'no answer in time'))
        call.cancel()
      })
    })
  }
}

/** A member that has lost its leader refuses, instead of serving what may be old, or nothing for ever. */
function headers(token: string | undefined): Metadata {
  const metadata = new Metadata()
  metadata.set('hasleader', 'true')
  if (token !== undefined) metadata.set('token', token)
  return metadata
}

function channelCredentials(tls: EtcdTls | undefined): ChannelCredentials {
  if (tls === undefined) return credentials.createInsecure()
  const bytes = (pem: string | Buffer | undefined): Buffer | null => (pem === undefined ? null : Buffer.from(pem))
  return credentials.createSsl(bytes(tls.ca), bytes(tls.key), bytes(tls.cert))
}

function asBytes(message: Uint8Array): Buffer {
  return Buffer.from(message.buffer, message.byteOffset, message.byteLength)
}
