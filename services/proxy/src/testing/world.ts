import { silentLogger, systemClock, type Clock, type Logger } from '@strata/base'
import { MemoryMetadataStore, rowCodec } from '@strata/metadata'
import type { ConnectionOptions, TlsOptions } from 'node:tls'
import type { MessageInitShape } from '@bufbuild/protobuf'
import { BrokerRowSchema } from '../generated/broker_pb.ts'
import { openProxy, type Proxy } from '../proxy.ts'
import { proxySettings, type ProxySettings } from '../settings.ts'
import { FakeBroker } from './fake-broker.ts'
import { RawClient } from './raw-client.ts'

const codec = rowCodec({
  version: 1,
  unreadable: () => {
    throw new Error('a row of a test does not decode')
  }
})

export function settingsOf(changes: Partial<ProxySettings> = {}): ProxySettings {
  const defaults = Object.fromEntries(
    Object.entries(proxySettings).map(([key, { default: value }]) => [key, value])
  ) as ProxySettings
  return { ...defaults, servicePort: 0, webServicePort: 0, ...changes }
}

/** A proxy, the store where brokers register, and whatever else a test opened: closed together. */
export class ProxyWorld {
  readonly metadata = new MemoryMetadataStore()
  logger: Logger = silentLogger
  readonly #opened: (() => Promise<unknown>)[] = []
  #proxy: Proxy | undefined

  get proxy(): Proxy {
    if (this.#proxy === undefined) throw new Error('the proxy was not started')
    return this.#proxy
  }

  async start(changes: Partial<ProxySettings> = {}, clock: Clock = systemClock): Promise<void> {
    const settings = settingsOf(changes)
    const metadata = settings.brokerServiceURL === '' && settings.brokerServiceURLTLS === '' ? this.metadata : undefined
    const proxy = await openProxy({ settings, metadata, clock, logger: this.logger, version: '0' })
    this.#proxy = proxy
    this.#opened.push(() => proxy.close())
  }

  async broker(tls?: TlsOptions): Promise<FakeBroker> {
    const broker = await FakeBroker.start(0, tls)
    this.#opened.push(() => broker.stop())
    return broker
  }

  /** With `tls`, by the proxy's port for it. */
  async client(tls?: ConnectionOptions): Promise<RawClient> {
    const { serviceUrl, serviceUrlTls = '' } = this.proxy
    const client = await RawClient.open(tls === undefined ? serviceUrl : serviceUrlTls, tls)
    this.#opened.push(() => Promise.resolve(client.destroy()))
    return client
  }

  /** Writes a broker's row as the broker would. */
  async register(instance: string, row: MessageInitShape<typeof BrokerRowSchema>): Promise<void> {
    const value = codec.encode(BrokerRowSchema, row)
    await this.metadata.transact({ compares: [], changes: [{ kind: 'put', key: `brokers/${instance}`, value }] })
  }

  async unregister(instance: string): Promise<void> {
    await this.metadata.transact({ compares: [], changes: [{ kind: 'delete', key: `brokers/${instance}` }] })
  }

  /** Closes it with the rest. */
  closing(close: () => Promise<unknown>): void {
    this.#opened.push(close)
  }

  async close(): Promise<void> {
    for (const close of this.#opened.splice(0).reverse()) await close()
    await this.metadata.close()
  }
}
