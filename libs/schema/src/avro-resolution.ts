/*
  May data written with one schema be read with another? Decided as Java's Avro 1.12 does, which Apache Pulsar's brokers
  ask. Where it differs from the specification:

    records     match by their fields; their names matter only to choose a branch of a union
    enums       and fixed types match by their short name; a symbol that the reader lacks is no obstacle
    unions      every branch of the writer must fit; for the reader's, the first branch that is chosen is what counts,
                also where a later one would fit
    aliases     of the reader rename types and fields of the writer before anything is compared, except where both are the same
*/
import { strict as assert } from 'node:assert'
import { isDefaultFor } from './avro-default.ts'
import { canonicalAvro } from './avro-equality.ts'
import { describeAvro, type AvroField, type AvroPrimitive, type AvroRecord, type AvroType } from './avro-type.ts'

/** Pairs of types looked at for one answer: definitions come from clients. */
const PAIRS_MAX = 200_000

const PROMOTIONS: Readonly<Partial<Record<AvroPrimitive, readonly string[]>>> = {
  int: ['long', 'float', 'double'],
  long: ['float', 'double'],
  float: ['double'],
  string: ['bytes'],
  bytes: ['string']
}

/** undefined: data written with `writer` can be read with `reader`. Else which field stands in the way, and why. */
export function whyUnreadable(reader: AvroType, writer: AvroType): string | undefined {
  return new Resolution(reader, writer).problem(writer, reader, '')
}

class Resolution {
  readonly #aliases: Aliases
  /** Pairs of records that were looked at, or are being: the writer's to the reader's. */
  readonly #seen = new Map<AvroRecord, Set<AvroRecord>>()
  /** Pairs on the way of a choice among branches. */
  readonly #choosing = new Map<AvroRecord, Set<AvroRecord>>()
  #pairs = 0

  constructor(reader: AvroType, writer: AvroType) {
    const isSame = canonicalAvro(reader) === canonicalAvro(writer)
    this.#aliases = isSame ? NO_ALIASES : aliasesOf(reader)
  }

  problem(writer: AvroType, reader: AvroType, path: string): string | undefined {
    if (++this.#pairs > PAIRS_MAX) return 'the definitions are too large to be compared'
    if (writer.kind === 'union') {
      for (const branch of writer.branches) {
        const found = this.problem(branch, reader, path)
        if (found !== undefined) return found
      }
      return undefined
    }
    if (this.#isMismatch(writer, reader)) return this.#mismatch(writer, reader, path)
    if (reader.kind === 'union') {
      const branch = this.#branchOf(reader.branches, writer)
      assert(branch !== undefined, 'a union without a fitting branch is a mismatch')
      return this.problem(writer, branch, path)
    }
    if (writer.kind === 'array' && reader.kind === 'array') return this.problem(writer.items, reader.items, `${path}[]`)
    if (writer.kind === 'map' && reader.kind === 'map') return this.problem(writer.values, reader.values, `${path}{}`)
    if (writer.kind === 'record' && reader.kind === 'record') return this.#recordProblem(writer, reader, path)
    return undefined
  }

  #recordProblem(writer: AvroRecord, reader: AvroRecord, path: string): string | undefined {
    if (isNoted(this.#seen, writer, reader)) return undefined
    const written = this.#fieldsOf(writer)
    if (written.size < writer.fields.size) return `an alias gives two fields of ${describeAvro(writer)} one name`
    for (const field of reader.fields.values()) {
      const there = written.get(field.name)
      const where = within(path, field.name)
      const found = there === undefined ? defaultProblem(field, where) : this.problem(there.type, field.type, where)
      if (found !== undefined) return found
    }
    return undefined
  }

  /** Seen from outside alone: what containers, and the fields of records, hold is not looked at. */
  #isMismatch(writer: AvroType, reader: AvroType): boolean {
    if (writer.kind === 'union') return false
    if (reader.kind === 'union') return this.#branchOf(reader.branches, writer) === undefined
    if (writer.kind === 'record' && reader.kind === 'record') return this.#missing(writer, reader) !== undefined
    if (writer.kind === 'fixed' && reader.kind === 'fixed') {
      return this.#shortName(writer) !== reader.name.short || writer.sizeBytes !== reader.sizeBytes
    }
    if (writer.kind === 'enum' && reader.kind === 'enum') return this.#shortName(writer) !== reader.name.short
    return writer.kind !== reader.kind && !isPromotion(writer, reader)
  }

  #mismatch(writer: AvroType, reader: AvroType, path: string): string {
    if (writer.kind === 'record' && reader.kind === 'record') {
      const name = this.#missing(writer, reader) ?? ''
      return `field '${within(path, name)}' has no default and is missing on the other side`
    }
    const change = `changed from ${describeAvro(writer)} to ${describeAvro(reader)}`
    return path === '' ? `the schema ${change}` : `field '${path}' ${change}`
  }

  /** A field that the reader needs and nobody wrote. */
  #missing(writer: AvroRecord, reader: AvroRecord): string | undefined {
    const written = this.#fieldsOf(writer)
    for (const { name, default: preset } of reader.fields.values()) {
      if (preset === undefined && !written.has(name)) return name
    }
    return undefined
  }

  /** What a reader takes data of `writer` for: a branch of its kind and name, else of its shape, else a wider type. */
  #branchOf(branches: readonly AvroType[], writer: AvroType): AvroType | undefined {
    this.#pairs += branches.length
    let alike: AvroType | undefined
    for (const branch of branches) {
      if (branch.kind !== writer.kind) continue
      if (!('name' in branch) || !('name' in writer)) return branch
      if (branch.name.full === this.#fullName(writer)) return branch
      if (branch.kind !== 'record' || writer.kind !== 'record' || !this.#isAlike(writer, branch)) continue
      if (alike === undefined || branch.name.short === this.#shortName(writer)) alike = branch
    }
    return alike ?? branches.find(branch => isPromotion(writer, branch))
  }

  #isAlike(writer: AvroRecord, reader: AvroRecord): boolean {
    // what contains itself is alike as far as it is looked at
    if (this.#pairs > PAIRS_MAX || isNoted(this.#choosing, writer, reader)) return true
    try {
      if (this.#missing(writer, reader) !== undefined) return false
      const written = this.#fieldsOf(writer)
      for (const { name, type } of reader.fields.values()) {
        this.#pairs++
        const there = written.get(name)
        if (there !== undefined && this.#isMismatch(there.type, type)) return false
      }
      return true
    } finally {
      this.#choosing.get(writer)?.delete(reader)
    }
  }

  /** The writer's fields under the names that the reader knows them by. */
  #fieldsOf(writer: AvroRecord): ReadonlyMap<string, AvroField> {
    const renamed = this.#aliases.fields.get(this.#fullName(writer))
    if (renamed === undefined) return writer.fields
    const fields = new Map<string, AvroField>()
    for (const [name, field] of writer.fields) fields.set(renamed.get(name) ?? name, field)
    return fields
  }

  #fullName({ name }: NamedType): string {
    return this.#aliases.types.get(name.full) ?? name.full
  }

  #shortName(type: NamedType): string {
    const full = this.#fullName(type)
    return full.slice(full.lastIndexOf('.') + 1)
  }
}

type NamedType = Extract<AvroType, { readonly name: unknown }>

interface Aliases {
  /** Alias → name, both full. */
  readonly types: ReadonlyMap<string, string>
  /** Full name of a record → alias of a field → its name. */
  readonly fields: ReadonlyMap<string, ReadonlyMap<string, string>>
}

const NO_ALIASES: Aliases = { types: new Map(), fields: new Map() }

function aliasesOf(root: AvroType): Aliases {
  const types = new Map<string, string>()
  const fields = new Map<string, Map<string, string>>()
  const seen = new Set<AvroType>()
  const walk = (type: AvroType): void => {
    if (seen.has(type)) return
    seen.add(type)
    if ('name' in type) for (const alias of type.aliases) types.set(alias, type.name.full)
    if (type.kind === 'array') walk(type.items)
    else if (type.kind === 'map') walk(type.values)
    else if (type.kind === 'union') type.branches.forEach(walk)
    else if (type.kind === 'record') {
      const renamed = new Map<string, string>()
      for (const field of type.fields.values()) {
        for (const alias of field.aliases) renamed.set(alias, field.name)
        walk(field.type)
      }
      if (renamed.size > 0) fields.set(type.name.full, renamed)
    }
  }
  walk(root)
  return { types, fields }
}

function within(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`
}

/** Of a field that nobody wrote. */
function defaultProblem({ type, default: preset }: AvroField, where: string): string | undefined {
  if (preset !== undefined && isDefaultFor(type, preset)) return undefined
  return `the default of field '${where}', which is missing on the other side, is no ${describeAvro(type)}`
}

function isPromotion(writer: AvroType, reader: AvroType): boolean {
  return PROMOTIONS[writer.kind as AvroPrimitive]?.includes(reader.kind) ?? false
}

/** Was the pair noted before? It is now. */
function isNoted(pairs: Map<AvroRecord, Set<AvroRecord>>, writer: AvroRecord, reader: AvroRecord): boolean {
  const readers = pairs.get(writer) ?? new Set()
  if (readers.has(reader)) return true
  pairs.set(writer, readers.add(reader))
  return false
}
