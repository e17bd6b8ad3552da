import type { Clock, Logger } from '@strata/base'
import { MetadataError } from './errors.ts'
import { FeatureLevelRowSchema } from './generated/metadata_pb.ts'
import type { MetadataStore, Watch } from './metadata-store.ts'
import { rowCodec } from './row-codec.ts'
import { updateRecord } from './update-record.ts'

/*
  Formats by level, so that two releases can serve one cluster. A format that the release before cannot read belongs to a level
  of its own, and is written only once the cluster's level has reached it: an operator raises that when every process knows it,
  and until then the release before starts on everything that is stored. What is read is told by the data themselves.

    level  since  what may be written from it on
        1  0.1    everything that 0.1 writes
*/
const KEY = 'feature-level'
/** Of a store that says nothing. */
const FIRST = 1

/** What a build can read, and so may be asked to write. */
export interface FeatureLevels {
  readonly min: number
  readonly max: number
}

/** Of this build. */
export const featureLevels: FeatureLevels = { min: 1, max: 1 }

const codec = rowCodec({
  version: 1,
  unreadable: ({ cause, ...problem }) => MetadataError.create('STORE_CORRUPT', { ...problem }, cause)
})

const CAPABILITY = 'levels='

/** As a process announces it in its row of a registry. */
export function levelCapability({ min, max }: FeatureLevels): string {
  return `${CAPABILITY}${min}-${max}`
}

/** What a process announced; one that says nothing is of the first level. */
export function levelsOf(capabilities: readonly string[]): FeatureLevels {
  for (const capability of capabilities) {
    const match = /^levels=(\d{1,6})-(\d{1,6})$/.exec(capability)
    if (match !== null) return { min: Number(match[1]), max: Number(match[2]) }
  }
  return { min: FIRST, max: FIRST }
}

/** The level of the cluster: what may be written. @throws MetadataError */
export async function readFeatureLevel(store: MetadataStore): Promise<number> {
  const record = await store.get(KEY)
  return record === undefined ? FIRST : decode(record.value)
}

/**
 * Raises the level for good. Returns the level before.
 * @throws MetadataError LEVEL_UNKNOWN: it is higher already
 */
export async function finalizeLevel(
  store: MetadataStore,
  { level, clock }: { level: number; clock: Clock }
): Promise<number> {
  let before = FIRST
  await updateRecord(
    store,
    KEY,
    current => {
      before = current === undefined ? FIRST : decode(current.value)
      if (before > level) throw MetadataError.create('LEVEL_UNKNOWN', { level: before, max: level })
      if (before === level) return undefined
      const finalizedAtMs = BigInt(Math.trunc(clock.wallMs()))
      return { put: codec.encode(FeatureLevelRowSchema, { level, finalizedAtMs }) }
    },
    { clock }
  )
  return before
}

/** What a running process asks before it writes anything that not every release reads. */
export class FeatureGate {
  readonly #levels: FeatureLevels
  readonly #log: Logger
  #level = FIRST
  #watch: Watch | undefined

  private constructor(levels: FeatureLevels, log: Logger) {
    this.#levels = levels
    this.#log = log
  }

  /** @throws MetadataError LEVEL_UNKNOWN: this build must not serve the cluster */
  static async open(
    store: MetadataStore,
    { logger, levels = featureLevels }: { logger: Logger; levels?: FeatureLevels }
  ): Promise<FeatureGate> {
    const gate = new FeatureGate(levels, logger)
    gate.#watch = await store.watch(KEY, events => {
      for (const { key, value } of events) if (key === KEY && value !== undefined) gate.#raise(decode(value))
    })
    try {
      const level = await readFeatureLevel(store)
      if (level > levels.max || level < levels.min) throw MetadataError.create('LEVEL_UNKNOWN', { level, ...levels })
      gate.#raise(level)
      return gate
    } catch (error) {
      gate.close()
      throw error
    }
  }

  /** What may be written now: never more than this build knows, never less than before. */
  get level(): number {
    return this.#level
  }

  allows(level: number): boolean {
    return level <= this.#level
  }

  close(): void {
    this.#watch?.close()
  }

  #raise(level: number): void {
    if (level > this.#levels.max) {
      const fields = { event: 'features.level_unknown', level, max: this.#levels.max }
      this.#log.error(fields, 'others may write formats that this process cannot read: replace it by a newer release')
      return
    }
    if (level <= this.#level) return
    this.#level = level
    this.#log.info({ event: 'features.level_raised', level }, 'formats of a higher level are written from now on')
  }
}

function decode(value: Uint8Array): number {
  return codec.decode(FeatureLevelRowSchema, value, KEY).level ?? FIRST
}
