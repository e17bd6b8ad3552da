import {
  BaseCommand_Type,
  CommandLookupTopicResponse_LookupType,
  CommandPartitionedTopicMetadataResponse_LookupType,
  decodeCommand,
  encodeCommand,
  ServerError,
  type CommandBody,
  type DecodedCommand
} from '@strata/wire'
import { addressOfUrl, textOf, type HostPort } from '../brokers/address.ts'
import { framed } from './broker-socket.ts'
import { LookupLink, type LinkHandler } from './lookup-link.ts'
import { answeredRequestOf } from './request-id.ts'
import type { ProxyServices } from './services.ts'

/** The client, as its lookups see it. */
export interface LookupClient {
  send(frame: Buffer): void
  close(reason: string): void
  /** Its requests are taken no faster than brokers answer them. */
  setBusy(isBusy: boolean): void
}

type Kind = 'lookup' | 'partitions' | 'topics' | 'schema' | 'watch'

interface Pending {
  readonly kind: Kind
  readonly requestId: bigint
  /** Kept so that another broker can be asked. */
  readonly frame: Buffer
  readonly lookup: CommandBody<'lookupTopic'> | undefined
  readonly sinceMs: number
  tries: number
  redirects: number
  link: LookupLink | undefined
}

/** What one client may have waiting; then no more of it is read. */
export const PENDING_BYTES_MAX = 256 * 1024
export const REDIRECTS_MAX = 10
/** Brokers that are asked before a request fails. */
const TRIES_MAX = 3
const WATCHERS_MAX = 1000
/** A broker holds a lookup for 20 s at most while a bundle moves. */
const ANSWER_TIMEOUT_MS = 30_000
const TOO_MANY = 'Too many concurrent lookup and partitionsMetadata requests'

/**
 * What a client asks before it is connected to a broker: passed on to one of the brokers, redirects followed, and the
 * address in the answer to a lookup marked as one that is reached by way of the proxy.
 *
 * Invariants
 *   L1  Every request is answered once, by a broker or, when none does, by an error that clients try again after.
 *   L2  Request ids and everything but LOOKUP_RESPONSE pass unchanged. What a client claims of its principal does not pass.
 *   L3  A request whose broker is gone is asked of another one. A watch cannot be moved: its client is closed, and comes back.
 */
export class LookupSession implements LinkHandler {
  readonly #services: ProxyServices
  readonly #connect: () => Buffer
  readonly #client: LookupClient
  readonly #pending = new Map<bigint, Pending>()
  readonly #links = new Map<string, LookupLink>()
  readonly #watchers = new Set<bigint>()
  #home: LookupLink | undefined
  #pendingBytes = 0
  #isBusy = false
  #isClosed = false

  /** @param options.connect CONNECT for brokers, a whole frame, with what counts at that moment. */
  constructor(options: { services: ProxyServices; connect: () => Buffer; client: LookupClient }) {
    this.#services = options.services
    this.#connect = options.connect
    this.#client = options.client
  }

  /** A command of the client, with its frame as a decoder handed it out. */
  onCommand(command: DecodedCommand, buffer: Buffer, start: number, end: number): void {
    const { counts } = this.#services.metrics
    switch (command.case) {
      case 'lookupTopic':
        counts.lookups++
        this.#begin(
          'lookup',
          command.value.requestId,
          withoutClaims(command) ?? framed(buffer, start, end),
          command.value
        )
        return
      case 'partitionMetadata':
        counts.partitions++
        this.#begin('partitions', command.value.requestId, withoutClaims(command) ?? framed(buffer, start, end))
        return
      case 'getTopicsOfNamespace':
        counts.topics++
        this.#begin('topics', command.value.requestId, framed(buffer, start, end))
        return
      case 'getSchema':
        counts.schemas++
        this.#begin('schema', command.value.requestId, framed(buffer, start, end))
        return
      case 'watchTopicList':
        this.#watchers.add(command.value.watcherId)
        if (this.#watchers.size > WATCHERS_MAX) this.#client.close('it watches too many lists of topics')
        else this.#begin('watch', command.value.requestId, framed(buffer, start, end))
        return
      case 'watchTopicListClose':
        this.#watchers.delete(command.value.watcherId)
        this.#begin('watch', command.value.requestId, framed(buffer, start, end))
        return
      default:
        this.#client.close(`a proxy does not take ${command.case} before a client is connected to a broker`)
    }
  }

  /** The client takes answers again, or takes them no more for now. */
  setClientWritable(isWritable: boolean): void {
    for (const link of this.#links.values()) {
      if (isWritable) link.resume()
      else link.pause()
    }
  }

  /** A broker left the cluster. @param name `host:port` */
  onBrokerGone(name: string): void {
    this.#links.get(name)?.giveUp('it left the cluster')
  }

  /** Called now and then. */
  tick(nowMs: number): void {
    for (const pending of [...this.#pending.values()]) {
      if (nowMs - pending.sinceMs < ANSWER_TIMEOUT_MS) continue
      pending.link?.giveUp('it does not answer')
      this.#fail(pending, 'The broker did not answer in time')
    }
  }

  close(): void {
    this.#isClosed = true
    for (const link of this.#links.values()) link.close()
    this.#links.clear()
    this.#services.metrics.counts.pendingLookups -= this.#pending.size
    this.#pending.clear()
  }

  // ------------------------------------------------------------ from brokers

  onBrokerFrame(type: number, buffer: Buffer, start: number, end: number): void {
    if (type === BaseCommand_Type.WATCH_TOPIC_UPDATE) {
      this.#client.send(framed(buffer, start, end))
      return
    }
    const requestId = answeredRequestOf(type, buffer, start, end)
    const pending = requestId === undefined ? undefined : this.#pending.get(requestId)
    if (pending === undefined) return
    if (type === BaseCommand_Type.LOOKUP_RESPONSE) {
      const command = decodeCommand(buffer, start, end)
      if (command.case === 'lookupTopicResponse' && this.#onLookupAnswer(pending, command.value)) return
    }
    this.#settle(pending)
    this.#client.send(framed(buffer, start, end))
  }

  onLinkClosed(link: LookupLink, error: Error): void {
    this.#links.delete(link.name)
    if (this.#home === link) this.#home = undefined
    if (this.#isClosed) return
    const fields = { event: 'broker.lookup_connection_lost', broker: link.name, reason: error.message }
    this.#services.logger.warn(fields, 'a broker that lookups were asked of is gone')
    if (this.#watchers.size > 0) {
      this.#client.close('the broker that watched topics for it is gone')
      return
    }
    for (const pending of [...this.#pending.values()]) {
      if (pending.link !== link) continue
      pending.tries++
      if (pending.tries >= TRIES_MAX) this.#fail(pending, 'No broker could be reached')
      else this.#dispatch(pending)
    }
  }

  /** False: the answer passes as it is. */
  #onLookupAnswer(pending: Pending, answer: CommandBody<'lookupTopicResponse'>): boolean {
    const { response, requestId } = answer
    const isTls = this.#services.brokerTls !== undefined
    const url = isTls ? answer.brokerServiceUrlTls : answer.brokerServiceUrl
    if (response === CommandLookupTopicResponse_LookupType.Failed) return false
    const address = addressOfUrl(url, isTls ? 'pulsar+ssl' : 'pulsar')
    if (address === undefined) this.#fail(pending, `The broker has no address ${isTls ? 'with' : 'without'} TLS`)
    else if (response === CommandLookupTopicResponse_LookupType.Redirect) this.#redirect(pending, address, answer)
    else {
      this.#settle(pending)
      // Both, because how the client reaches the proxy says nothing of how the proxy reaches the broker.
      const urls = { brokerServiceUrl: url, brokerServiceUrlTls: url }
      const rest = { authoritative: true, proxyThroughServiceUrl: true }
      this.#client.send(encodeCommand('lookupTopicResponse', { requestId, response, ...urls, ...rest }))
    }
    return true
  }

  #redirect(pending: Pending, address: HostPort, { authoritative }: CommandBody<'lookupTopicResponse'>): void {
    pending.redirects++
    if (pending.redirects > REDIRECTS_MAX || pending.lookup === undefined) {
      this.#fail(pending, 'Reached max number of redirections')
      return
    }
    pending.link = this.#linkTo(address)
    pending.link.send(encodeCommand('lookupTopic', { ...unclaimed(pending.lookup), authoritative }))
  }

  // ------------------------------------------------------------ requests

  #begin(kind: Kind, requestId: bigint, frame: Buffer, lookup?: CommandBody<'lookupTopic'>): void {
    const { metrics, settings, clock } = this.#services
    if (metrics.counts.pendingLookups >= settings.maxConcurrentLookupRequests) {
      this.#reject(kind, requestId)
      return
    }
    if (this.#pending.has(requestId)) {
      this.#client.close('it used the id of a request that is not answered yet')
      return
    }
    const sinceMs = clock.nowMs()
    const pending: Pending = { kind, requestId, frame, lookup, sinceMs, tries: 0, redirects: 0, link: undefined }
    this.#pending.set(requestId, pending)
    metrics.counts.pendingLookups++
    this.#charge(frame.length)
    this.#dispatch(pending)
  }

  #dispatch(pending: Pending): void {
    pending.redirects = 0
    const address = this.#home === undefined ? this.#services.directory.next() : undefined
    if (address !== undefined) this.#home = this.#linkTo(address)
    pending.link = this.#home
    if (this.#home === undefined) this.#fail(pending, 'No active broker is available')
    else this.#home.send(pending.frame)
  }

  #linkTo(address: HostPort): LookupLink {
    const name = textOf(address)
    const known = this.#links.get(name)
    if (known !== undefined) return known
    const link = new LookupLink({ services: this.#services, address, connect: this.#connect(), handler: this })
    this.#links.set(name, link)
    return link
  }

  /** It is answered, or about to be. */
  #settle(pending: Pending): void {
    if (!this.#pending.delete(pending.requestId)) return
    this.#services.metrics.counts.pendingLookups--
    this.#charge(-pending.frame.length)
  }

  #charge(bytes: number): void {
    this.#pendingBytes += bytes
    const isBusy = this.#pendingBytes > PENDING_BYTES_MAX
    if (isBusy === this.#isBusy) return
    this.#isBusy = isBusy
    this.#client.setBusy(isBusy)
  }

  /** ServiceNotReady in the answer to a lookup would make clients drop the connection: what may pass is MetadataError. */
  #fail(pending: Pending, message: string): void {
    this.#settle(pending)
    const { kind, requestId } = pending
    const isLookup = kind === 'lookup' || kind === 'partitions'
    this.#refuse(kind, requestId, isLookup ? ServerError.MetadataError : ServerError.ServiceNotReady, message)
  }

  /** With the errors that Apache Pulsar's proxy has for it. */
  #reject(kind: Kind, requestId: bigint): void {
    const { counts } = this.#services.metrics
    if (kind === 'lookup') counts.rejectedLookups++
    else if (kind === 'partitions') counts.rejectedPartitions++
    else if (kind === 'topics') counts.rejectedTopics++
    const error = kind === 'lookup' ? ServerError.TooManyRequests : ServerError.ServiceNotReady
    this.#refuse(kind, requestId, error, TOO_MANY)
  }

  #refuse(kind: Kind, requestId: bigint, error: ServerError, message: string): void {
    if (kind === 'lookup') {
      const response = CommandLookupTopicResponse_LookupType.Failed
      this.#client.send(encodeCommand('lookupTopicResponse', { requestId, response, error, message }))
    } else if (kind === 'partitions') {
      const response = CommandPartitionedTopicMetadataResponse_LookupType.Failed
      this.#client.send(encodeCommand('partitionMetadataResponse', { requestId, response, error, message }))
    } else this.#client.send(encodeCommand('error', { requestId, error, message }))
  }
}

/** A whole frame without what the client says of its principal, which nobody checked; undefined: it says nothing. */
function withoutClaims(
  command: Extract<DecodedCommand, { case: 'lookupTopic' | 'partitionMetadata' }>
): Buffer | undefined {
  const { originalPrincipal, originalAuthData, originalAuthMethod } = command.value
  if (originalPrincipal === '' && originalAuthData === '' && originalAuthMethod === '') return undefined
  if (command.case === 'lookupTopic') return encodeCommand('lookupTopic', unclaimed(command.value))
  const { topic, requestId, metadataAutoCreationEnabled } = command.value
  return encodeCommand('partitionMetadata', { topic, requestId, metadataAutoCreationEnabled })
}

function unclaimed({
  topic,
  requestId,
  authoritative,
  advertisedListenerName,
  properties
}: CommandBody<'lookupTopic'>) {
  return { topic, requestId, authoritative, advertisedListenerName, properties }
}
