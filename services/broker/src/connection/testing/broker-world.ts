import { bookieId, silentLogger, systemClock, type Clock, type Logger } from '@strata/base'
import { createLedgerClient, type LedgerClient } from '@strata/ledger-client'
import { directoryOf, MemoryBookieNode } from '@strata/ledger-client/testing'
import { createManagedLedgerFactory, type ManagedLedgerFactory } from '@strata/managed-ledger'
import { MemoryMetadataStore } from '@strata/metadata'
import { createBroker, type Broker } from '../../broker.ts'
import { defaultBrokerSettings, type BrokerSettings } from '../../config/settings.ts'
import { RawClient, type RawClientOptions } from './raw-client.ts'

/** A broker over storage that lives as long as the world, so that the broker may be started again. */
export class BrokerWorld {
  readonly metadata = new MemoryMetadataStore()
  readonly node = new MemoryBookieNode(bookieId('one'))
  /** With that one. */
  readonly nodes: readonly MemoryBookieNode[]
  readonly settings: BrokerSettings
  readonly clock: Clock
  readonly logger: Logger
  logs: ManagedLedgerFactory
  broker: Broker
  readonly #clients: RawClient[] = []
  readonly #crashed: { readonly broker: Broker; readonly logs: ManagedLedgerFactory }[] = []

  private constructor(options: { settings: Partial<BrokerSettings>; clock: Clock; logger: Logger; nodes: number }) {
    this.settings = { ...defaultBrokerSettings(), brokerServicePort: 0, ...options.settings }
    this.clock = options.clock
    this.logger = options.logger
    const others = Array.from({ length: options.nodes - 1 }, (_, index) => new MemoryBookieNode(bookieId(`n${index}`)))
    this.nodes = [this.node, ...others]
    this.logs = this.#openLogs()
    this.broker = undefined as unknown as Broker
  }

  static async start(
    settings: Partial<BrokerSettings> = {},
    options: { clock?: Clock; logger?: Logger; nodes?: number } = {}
  ): Promise<BrokerWorld> {
    const { clock = systemClock, logger = silentLogger, nodes = 1 } = options
    const world = new BrokerWorld({ settings, clock, logger, nodes })
    await world.#startBroker()
    return world
  }

  /** A client that has not sent anything yet. */
  async open(): Promise<RawClient> {
    const client = await RawClient.open({ port: this.broker.ports.broker })
    this.#clients.push(client)
    return client
  }

  /** A client that is connected. */
  async connect(options: RawClientOptions = {}): Promise<RawClient> {
    const client = await this.open()
    await client.connect(options)
    return client
  }

  async restart(): Promise<void> {
    await this.broker.close()
    await this.logs.close()
    this.logs = this.#openLogs()
    await this.#startBroker()
  }

  /** A broker in the place of one that was killed: what that one held in memory is of no more use to anybody. */
  async crash(): Promise<void> {
    this.#crashed.push({ broker: this.broker, logs: this.logs })
    this.logs = this.#openLogs()
    await this.#startBroker()
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.destroy()
    for (const { broker, logs } of [...this.#crashed, this]) {
      await broker.close()
      await logs.close()
    }
    await this.metadata.close()
  }

  async #startBroker(): Promise<void> {
    const { settings, metadata, logs, clock, logger } = this
    this.broker = await createBroker({ settings, metadata, logs, clock, logger })
    await this.broker.start()
  }

  /** As the broker has it, for what storage says of a ledger. */
  openLedgers(): LedgerClient {
    return createLedgerClient({
      metadata: this.metadata,
      directory: directoryOf([...this.nodes]),
      quorum: { ensembleSize: 1, writeQuorum: 1, ackQuorum: 1 },
      clock: systemClock,
      logger: silentLogger,
      random: () => 0.5
    })
  }

  #openLogs(): ManagedLedgerFactory {
    return createManagedLedgerFactory({
      metadata: this.metadata,
      ledgers: this.openLedgers(),
      cacheBytesMax: 16 << 20,
      clock: this.clock,
      storageDeadlineMs: 200
    })
  }
}
