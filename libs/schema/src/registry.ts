import { createHash } from 'node:crypto'
import type { Clock } from '@strata/base'
import { rowCodec, transactUntilAnswered, type Change, type MetadataRecord, type MetadataStore } from '@strata/metadata'
import {
  checkCompatible,
  isSameSchema,
  isSameText,
  validateSchema,
  type CompatibilityStrategy
} from './compatibility.ts'
import { schemaError } from './errors.ts'
import { SchemaHeadSchema, SchemaRowSchema, type SchemaRow } from './generated/schema_pb.ts'
import { numberOfSchemaType, schemaTypeOfNumber, type SchemaDefinition } from './schema-type.ts'

export interface StoredSchema extends SchemaDefinition {
  /** 0, 1, 2, … of its topic; on the wire 8 bytes, big-endian. */
  readonly version: number
  readonly createdAtMs: number
  readonly user: string
}

const codec = rowCodec({
  version: 1,
  unreadable: ({ reason, cause }) =>
    schemaError('SCHEMA_ROW_UNREADABLE', `A stored schema cannot be read: ${reason}`, cause)
})
const ATTEMPTS_MAX = 20
/** A value of the store ends at 64 KB, a transaction at 100 changes. */
const PART_BYTES_MAX = 60 * 1024
const PARTS_MAX = 64
const DELETE_BATCH = 90
const CACHED_TOPICS_MAX = 1000

/** How a new schema is judged. */
export interface SchemaRules {
  readonly strategy: CompatibilityStrategy
  /** May JSON schemas be in the form of clients before 2.1? Default no. */
  readonly mayBeJackson?: boolean
}

/** Versions of one topic as of one head row. */
interface Snapshot {
  readonly headVersion: number
  readonly firstVersion: number
  readonly nextVersion: number
  readonly schemas: readonly StoredSchema[]
}

/**
 * Schemas of topics, as rows of the metadata store. A topic is named by `tenant/namespace/local` (its local name encoded,
 * without partition suffix).
 *
 * Invariants
 *   S1  Versions of a topic only grow; a version, once told, never means another schema.
 *   S2  Adding and deleting compare the topic's head row, so of two at once one sees the other.
 *   S3  The same schema has one version, however many add it.
 */
export class SchemaRegistry {
  readonly #store: MetadataStore
  readonly #clock: Clock
  /** Dropped at any time: an entry counts only while its head version is the store's. */
  readonly #cache = new Map<string, Snapshot>()

  constructor(options: { store: MetadataStore; clock: Clock }) {
    this.#store = options.store
    this.#clock = options.clock
  }

  /** The existing versions, oldest first. */
  async list(topic: string): Promise<readonly StoredSchema[]> {
    return (await this.#snapshot(topic)).schemas
  }

  async latest(topic: string): Promise<StoredSchema | undefined> {
    return (await this.list(topic)).at(-1)
  }

  async get(topic: string, version: number): Promise<StoredSchema | undefined> {
    return (await this.list(topic)).find(schema => schema.version === version)
  }

  /** The version that has this schema, to the byte. */
  async find(topic: string, schema: SchemaDefinition): Promise<number | undefined> {
    return (await this.list(topic)).find(stored => isSameText(stored, schema))?.version
  }

  /**
   * The version of this schema, added if there is none and it fits those there are.
   * @throws SchemaError SCHEMA_INVALID, SCHEMA_INCOMPATIBLE, SCHEMA_TOO_LARGE, SCHEMA_CONTENDED
   */
  async add(
    topic: string,
    schema: SchemaDefinition,
    rules: SchemaRules & { mayAdd: boolean; user?: string }
  ): Promise<number> {
    validateSchema(schema, rules)
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const snapshot = await this.#snapshot(topic)
      const same = findSame(snapshot.schemas, schema)
      if (same !== undefined) return same.version
      if (!rules.mayAdd) {
        throw schemaError('SCHEMA_INCOMPATIBLE', 'Schema not found and schema auto updating is disabled.')
      }
      checkCompatible(snapshot.schemas, schema, rules.strategy)
      if (await this.#append(topic, snapshot, schema, rules.user ?? '')) return snapshot.nextVersion
    }
    throw schemaError('SCHEMA_CONTENDED', 'Schemas of the topic keep changing')
  }

  /**
   * Would it fit, were it new? A version that is there already is known when it is added, whatever the strategy says of it.
   * @throws SchemaError SCHEMA_INVALID, SCHEMA_INCOMPATIBLE
   */
  async check(topic: string, schema: SchemaDefinition, rules: SchemaRules): Promise<void> {
    validateSchema(schema, rules)
    checkCompatible(await this.list(topic), schema, rules.strategy)
  }

  /**
   * May a consumer with this schema read the topic? Strategies that look back at one version need it to read the last
   * one; the others apply to all versions as for producers.
   * @throws SchemaError SCHEMA_INVALID, SCHEMA_INCOMPATIBLE (also when the topic has no schema)
   */
  async checkConsumer(topic: string, schema: SchemaDefinition, rules: SchemaRules): Promise<void> {
    if (schema.type === 'AUTO_CONSUME') return
    validateSchema(schema, rules)
    const { strategy } = rules
    if (strategy === 'ALWAYS_COMPATIBLE') return
    const schemas = await this.list(topic)
    if (schemas.length === 0) {
      const told = `Failed to add schema to an active topic with empty(BYTES) schema: new schema type ${schema.type}`
      throw schemaError('SCHEMA_INCOMPATIBLE', told)
    }
    const readsLast = ['BACKWARD', 'FORWARD', 'FORWARD_TRANSITIVE', 'FULL'].includes(strategy)
    if (readsLast) checkCompatible(schemas, schema, 'BACKWARD')
    else for (const old of schemas) checkCompatible([old], schema, strategy)
  }

  /** Marks all versions deleted. Resolves with the version that stands for the deletion; later schemas get higher ones. */
  async delete(topic: string): Promise<number> {
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
      const { headVersion, nextVersion } = await this.#snapshot(topic)
      const head = { nextVersion: BigInt(nextVersion + 1), firstVersion: BigInt(nextVersion + 1) }
      const result = await transactUntilAnswered(this.#store, {
        compares: [{ key: headKey(topic), version: headVersion }],
        changes: [{ kind: 'put', key: headKey(topic), value: codec.encode(SchemaHeadSchema, head) }]
      })
      if (!result.committed) continue
      // what a crash leaves behind is below the first version, so nobody sees it, and the next deletion takes it
      await this.#eraseRows(topic)
      return nextVersion
    }
    throw schemaError('SCHEMA_CONTENDED', 'Schemas of the topic keep changing')
  }

  /** Nothing is left, also not the numbering: the topic itself is gone. */
  async forget(topic: string): Promise<void> {
    await transactUntilAnswered(this.#store, { compares: [], changes: [{ kind: 'delete', key: headKey(topic) }] })
    this.#cache.delete(topic)
    await this.#eraseRows(topic)
  }

  async #append(topic: string, snapshot: Snapshot, schema: SchemaDefinition, user: string): Promise<boolean> {
    const { nextVersion, firstVersion, headVersion } = snapshot
    const parts = partsOf(schema.data)
    const row = {
      type: numberOfSchemaType(schema.type),
      properties: { ...schema.properties },
      createdAtMs: BigInt(Math.trunc(this.#clock.wallMs())),
      user,
      hash: createHash('sha256').update(schema.data).digest(),
      ...(parts.length === 0 ? { data: schema.data } : { parts: parts.length })
    }
    const head = { nextVersion: BigInt(nextVersion + 1), firstVersion: BigInt(firstVersion) }
    const changes: Change[] = [
      { kind: 'put', key: headKey(topic), value: codec.encode(SchemaHeadSchema, head) },
      { kind: 'put', key: rowKey(topic, nextVersion), value: codec.encode(SchemaRowSchema, row) },
      ...parts.map((value, index): Change => ({ kind: 'put', key: partKey(topic, nextVersion, index), value }))
    ]
    const compares = [{ key: headKey(topic), version: headVersion }]
    return (await transactUntilAnswered(this.#store, { compares, changes })).committed
  }

  async #snapshot(topic: string): Promise<Snapshot> {
    const record = await this.#store.get(headKey(topic))
    if (record === undefined) return { headVersion: 0, firstVersion: 0, nextVersion: 0, schemas: [] }
    const cached = this.#cache.get(topic)
    if (cached?.headVersion === record.version) return cached
    const head = codec.decode(SchemaHeadSchema, record.value)
    const firstVersion = Number(head.firstVersion ?? 0n)
    const nextVersion = Number(head.nextVersion ?? 0n)
    const schemas: StoredSchema[] = []
    for await (const row of this.#rows(rowsPrefix(topic))) {
      const version = versionOfKey(row.key)
      if (version < firstVersion || version >= nextVersion) continue
      schemas.push(await this.#schemaOf(topic, version, codec.decode(SchemaRowSchema, row.value)))
    }
    const snapshot = { headVersion: record.version, firstVersion, nextVersion, schemas }
    if (this.#cache.size >= CACHED_TOPICS_MAX) this.#cache.clear()
    this.#cache.set(topic, snapshot)
    return snapshot
  }

  async #schemaOf(topic: string, version: number, row: SchemaRow): Promise<StoredSchema> {
    const type = schemaTypeOfNumber(row.type ?? 0)
    if (type === undefined) throw schemaError('SCHEMA_ROW_UNREADABLE', 'A stored schema has an unknown type')
    let data = row.data ?? new Uint8Array(0)
    if ((row.parts ?? 0) > 0) {
      const parts: Uint8Array[] = []
      for await (const part of this.#rows(partsPrefix(topic, version))) parts.push(part.value)
      data = Buffer.concat(parts)
    }
    return {
      type,
      data,
      properties: row.properties,
      version,
      createdAtMs: Number(row.createdAtMs ?? 0n),
      user: row.user ?? ''
    }
  }

  /** Rows below the topic's first version, or all where it has no head. */
  async #eraseRows(topic: string): Promise<void> {
    const record = await this.#store.get(headKey(topic))
    const firstVersion =
      record === undefined ? Infinity : Number(codec.decode(SchemaHeadSchema, record.value).firstVersion ?? 0n)
    for (const prefix of [rowsPrefix(topic), `schema-parts/${topic}/`]) {
      let batch: Change[] = []
      for await (const { key } of this.#rows(prefix)) {
        if (versionOfKey(prefix.startsWith('schema-parts/') ? key.slice(0, key.lastIndexOf('/')) : key) >= firstVersion)
          continue
        batch.push({ kind: 'delete', key })
        if (batch.length < DELETE_BATCH) continue
        await transactUntilAnswered(this.#store, { compares: [], changes: batch })
        batch = []
      }
      if (batch.length > 0) await transactUntilAnswered(this.#store, { compares: [], changes: batch })
    }
  }

  async *#rows(prefix: string): AsyncGenerator<MetadataRecord, void, undefined> {
    let after: string | undefined
    do {
      const page = await this.#store.scan({ prefix, limit: 100, ...(after === undefined ? {} : { after }) })
      yield* page.records
      after = page.next
    } while (after !== undefined)
  }
}

/** A version as clients carry it. */
export function encodeSchemaVersion(version: number): Buffer {
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeBigInt64BE(BigInt(version))
  return bytes
}

/** undefined for what is no version. */
export function decodeSchemaVersion(bytes: Uint8Array): number | undefined {
  if (bytes.length !== 8) return undefined
  const version = Buffer.from(bytes).readBigInt64BE()
  return version >= 0n && version <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(version) : undefined
}

function findSame(schemas: readonly StoredSchema[], schema: SchemaDefinition): StoredSchema | undefined {
  return schemas.find(stored => isSameSchema(stored, schema))
}

/** Empty: the row itself holds the data. @throws SchemaError SCHEMA_TOO_LARGE */
function partsOf(data: Uint8Array): Uint8Array[] {
  if (data.length <= PART_BYTES_MAX / 2) return []
  const count = Math.ceil(data.length / PART_BYTES_MAX)
  if (count > PARTS_MAX)
    throw schemaError('SCHEMA_TOO_LARGE', `A schema may have at most ${PARTS_MAX * PART_BYTES_MAX} bytes`)
  return Array.from({ length: count }, (_, index) =>
    data.subarray(index * PART_BYTES_MAX, (index + 1) * PART_BYTES_MAX)
  )
}

const hex16 = (value: number): string => value.toString(16).padStart(16, '0')
const headKey = (topic: string): string => `schemas/${topic}`
const rowsPrefix = (topic: string): string => `schema-versions/${topic}/`
const rowKey = (topic: string, version: number): string => rowsPrefix(topic) + hex16(version)
const partsPrefix = (topic: string, version: number): string => `schema-parts/${topic}/${hex16(version)}/`
const partKey = (topic: string, version: number, index: number): string =>
  partsPrefix(topic, version) + index.toString(16).padStart(4, '0')
const versionOfKey = (key: string): number => parseInt(key.slice(key.lastIndexOf('/') + 1), 16)
