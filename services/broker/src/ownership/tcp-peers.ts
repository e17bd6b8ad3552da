import { get, type IncomingMessage } from 'node:http'
import { get as getTls } from 'node:https'
import { connect, type Socket } from 'node:net'
import type { ClientTls } from '@strata/auth'
import type { Clock } from '@strata/base'
import type { BrokerAddress } from './contract.ts'
import type { PeerAnswer } from './events.ts'
import type { PeerDoor, PeerListener } from './peer-watch.ts'

/** Where a broker answers, by HTTP, whether it reaches the metadata store: `{"reaches": true}`. */
export const REACH_PATH = '/admin/v2/brokers/internal/reaches-metadata'

/** The same of the storage nodes. */
export const STORAGE_REACH_PATH = '/admin/v2/brokers/internal/reaches-storage'

const RECONNECT_MS = 250
/** A refusal counts once a second try is refused as well. */
const CONFIRM_MS = 25
const CONNECT_TIMEOUT_MS = 2_000
const ASK_TIMEOUT_MS = 1_000
const ANSWER_BYTES_MAX = 1_024

/** Peers by TCP: a connection to the port of HTTP that says nothing, and one GET a question. */
export class TcpPeers implements PeerDoor {
  readonly #clock: Clock
  readonly #tls: ClientTls | undefined

  /** With `tls`, questions are asked over HTTPS alone. */
  constructor(clock: Clock, tls?: ClientTls) {
    this.#clock = clock
    this.#tls = tls
  }

  watch(peer: BrokerAddress, listener: PeerListener): () => void {
    const target = targetOf(peer)
    if (target === undefined) return () => undefined
    const link = new PeerLink(this.#clock, target, listener)
    return () => link.close()
  }

  ask(peer: BrokerAddress): Promise<PeerAnswer> {
    return this.#ask(peer, REACH_PATH)
  }

  askStorage(peer: BrokerAddress): Promise<PeerAnswer> {
    return this.#ask(peer, STORAGE_REACH_PATH)
  }

  #ask(peer: BrokerAddress, path: string): Promise<PeerAnswer> {
    const base = this.#tls === undefined ? peer.urls.httpUrl : peer.urls.httpUrlTls
    if (base === undefined) return Promise.resolve('silent')
    const url = new URL(path, base)
    const options = { agent: false, timeout: ASK_TIMEOUT_MS }
    return new Promise(resolve => {
      const onResponse = (response: IncomingMessage): void => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (part: string) => {
          text += part
          if (text.length > ANSWER_BYTES_MAX) request.destroy()
        })
        response.on('error', () => resolve('silent'))
        response.on('close', () => resolve(answerIn(response.statusCode, text)))
      }
      const request =
        this.#tls === undefined
          ? get(url, options, onResponse)
          : getTls(url, { ...options, ...this.#tls.options }, onResponse)
      const cancel = this.#clock.after(ASK_TIMEOUT_MS, () => request.destroy())
      request.on('timeout', () => request.destroy())
      request.on('error', () => resolve('silent'))
      request.on('close', () => {
        cancel()
        resolve('silent') // unless it was answered
      })
    })
  }
}

function answerIn(status: number | undefined, text: string): PeerAnswer {
  if (status !== 200) return 'silent'
  if (/"reaches"\s*:\s*true/.test(text)) return 'reaches'
  return /"reaches"\s*:\s*false/.test(text) ? 'lost' : 'silent'
}

interface Target {
  readonly host: string
  readonly port: number
}

function targetOf({ urls }: BrokerAddress): Target | undefined {
  const url = urls.httpUrl ?? urls.httpUrlTls ?? urls.brokerUrl ?? urls.brokerUrlTls
  if (url === undefined) return undefined
  const { hostname, port } = new URL(url)
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port) }
}

/** One peer's connection, made again whenever it ends. */
class PeerLink {
  readonly #clock: Clock
  readonly #target: Target
  readonly #listener: PeerListener
  #socket: Socket | undefined
  #cancel: (() => void) | undefined
  #refusals = 0
  #standsSinceMs: number | undefined
  #isClosed = false

  constructor(clock: Clock, target: Target, listener: PeerListener) {
    this.#clock = clock
    this.#target = target
    this.#listener = listener
    this.#connect()
  }

  close(): void {
    this.#isClosed = true
    this.#cancel?.()
    this.#socket?.destroy()
  }

  #connect(): void {
    const socket = connect(this.#target)
    let isRefused = false
    this.#socket = socket
    socket.setTimeout(CONNECT_TIMEOUT_MS, () => socket.destroy())
    socket.on('connect', () => {
      socket.setTimeout(0)
      this.#standsSinceMs = this.#clock.nowMs()
      socket.setKeepAlive(true, 10_000)
      if (this.#refusals > 1 && !this.#isClosed) this.#listener.onUp()
      this.#refusals = 0
    })
    socket.on('error', error => {
      isRefused = 'code' in error && error.code === 'ECONNREFUSED'
    })
    socket.on('close', () => {
      if (!this.#isClosed) this.#onEnd(isRefused)
    })
    socket.resume()
  }

  #onEnd(isRefused: boolean): void {
    // one that stood is made again at once: if the process is gone, that is how it is noticed
    const hasStood = this.#clock.nowMs() - (this.#standsSinceMs ?? Infinity) > RECONNECT_MS
    this.#standsSinceMs = undefined
    this.#refusals = isRefused ? this.#refusals + 1 : 0
    if (this.#refusals === 2) this.#listener.onDown()
    const delayMs = hasStood ? 0 : this.#refusals === 1 ? CONFIRM_MS : RECONNECT_MS
    this.#cancel = this.#clock.after(delayMs, () => this.#connect())
  }
}
