import { parseSetting, type Logger } from '@strata/base'
import { transactUntilAnswered, type MetadataStore, type Watch } from '@strata/metadata'
import { SettingRowSchema } from '../generated/broker_pb.ts'
import { decodeRow, encodeRow, scanAll } from '../namespace/rows.ts'
import { brokerSettings, type BrokerSettings } from './settings.ts'

const PREFIX = 'dynamic-settings/'

/**
 * Settings that an operator changed while brokers run: rows of the metadata store, over what files, environment and flags
 * say. They are put into the settings object itself, which everybody reads at each use, here and in every other broker.
 */
export class DynamicSettings {
  readonly #store: MetadataStore
  readonly #settings: BrokerSettings
  /** What holds again when an override goes. */
  readonly #configured: Readonly<BrokerSettings>
  readonly #logger: Logger
  readonly #listeners = new Set<() => void>()
  #watch: Watch | undefined

  constructor(options: { store: MetadataStore; settings: BrokerSettings; logger: Logger }) {
    this.#store = options.store
    this.#settings = options.settings
    this.#configured = { ...options.settings }
    this.#logger = options.logger
  }

  async start(): Promise<void> {
    this.#watch = await this.#store.watch(PREFIX, events => {
      for (const { key, value } of events) {
        this.#apply(key.slice(PREFIX.length), value === undefined ? undefined : textOf({ key, value }))
      }
    })
    for (const [key, value] of Object.entries(await this.overrides())) this.#apply(key, value)
  }

  close(): void {
    this.#watch?.close()
    this.#listeners.clear()
  }

  /** Calls after a setting changed, for what is derived from settings and kept. */
  onChanged(listener: () => void): void {
    this.#listeners.add(listener)
  }

  /** Overrides by key, as they were written. */
  async overrides(): Promise<Record<string, string>> {
    const found: Record<string, string> = {}
    for await (const record of scanAll(this.#store, PREFIX)) found[record.key.slice(PREFIX.length)] = textOf(record)
    return found
  }

  /** Resolves with what is wrong about it, or with nothing once it is stored and in force here. */
  async set(key: string, value: string): Promise<string | undefined> {
    const setting = dynamicSetting(key)
    if (setting === undefined) return "Can't update non-dynamic configuration"
    const parsed = parseSetting(setting, value)
    if ('problem' in parsed) return `${key} ${parsed.problem}`
    const row = encodeRow(SettingRowSchema, { value })
    await transactUntilAnswered(this.#store, {
      compares: [],
      changes: [{ kind: 'put', key: PREFIX + key, value: row }]
    })
    this.#apply(key, value)
    return undefined
  }

  async remove(key: string): Promise<string | undefined> {
    if (dynamicSetting(key) === undefined) return "Can't delete non-dynamic configuration"
    await transactUntilAnswered(this.#store, { compares: [], changes: [{ kind: 'delete', key: PREFIX + key }] })
    this.#apply(key, undefined)
    return undefined
  }

  #apply(key: string, value: string | undefined): void {
    const setting = dynamicSetting(key)
    if (setting === undefined) return
    const parsed = value === undefined ? undefined : parseSetting(setting, value)
    const next =
      parsed !== undefined && 'value' in parsed ? parsed.value : this.#configured[key as keyof BrokerSettings]
    if (this.#settings[key as keyof BrokerSettings] === next) return
    Object.assign(this.#settings, { [key]: next })
    this.#logger.info({ event: 'setting.changed', key }, 'a setting changed at run time')
    for (const listener of this.#listeners) listener()
  }
}

function dynamicSetting(key: string): (typeof brokerSettings)[keyof typeof brokerSettings] | undefined {
  if (!Object.hasOwn(brokerSettings, key)) return undefined
  const setting = brokerSettings[key as keyof typeof brokerSettings]
  return setting.dynamic ? setting : undefined
}

function textOf(record: { key: string; value: Uint8Array }): string {
  return decodeRow(SettingRowSchema, record).value ?? ''
}
