/*
  Reads Avro definitions as Apache Pulsar's brokers do, which is as Java's Avro 1.12 does with its default values
  unchecked and `$` allowed in names: names may be used before their definition.
  Definitions come from clients: nesting is bounded, no code is made of them.
*/
import { canonicalAvro } from './avro-equality.ts'
import {
  DEPTH_MAX,
  isAvroPrimitive,
  type AvroEnum,
  type AvroField,
  type AvroFixed,
  type AvroName,
  type AvroProperties,
  type AvroRecord,
  type AvroType,
  type Json,
  type JsonObject
} from './avro-type.ts'

const SHOWN_MAX = 100

const TYPE_KEYS = new Set([
  'doc',
  'fields',
  'items',
  'name',
  'namespace',
  'size',
  'symbols',
  'values',
  'type',
  'aliases'
])
const ENUM_KEYS = new Set([...TYPE_KEYS, 'default'])
const FIELD_KEYS = new Set(['default', 'doc', 'name', 'order', 'type', 'aliases'])
const ORDERS = ['ASCENDING', 'DESCENDING', 'IGNORE']
const FIXED_BYTES_MAX = 2 ** 31 - 1
const NAME = /^[\p{L}_$][\p{L}\p{Nd}_$]*$/u

/** @throws Error saying what is wrong with it */
export function parseAvroText(text: string): AvroType {
  return new Parser().run(JSON.parse(text) as Json)
}

type NamedType = AvroRecord | AvroEnum | AvroFixed
/** What a name stands for may be known only at the end. */
const NOT_YET: AvroType = { kind: 'null', properties: {} }

class Parser {
  readonly #named = new Map<string, NamedType>()
  /** Records whose fields are being read. */
  readonly #unfinished = new Set<NamedType>()
  /** Names used before they were defined: what to do when they are known. */
  readonly #open: { name: string; key: string; resolve: (type: NamedType) => void }[] = []

  run(json: Json): AvroType {
    let root: AvroType | undefined
    this.#type(json, { namespace: '', depth: 0 }, type => {
      root = type
    })
    for (const { name, key, resolve } of this.#open) {
      const there = this.#named.get(key) ?? this.#named.get(name)
      resolve(there ?? refuse(`there is no type called ${shown(name)}`))
    }
    return root ?? refuse('it is a name without a definition')
  }

  /** Calls `resolve` with the type: at once, or at the end for a name that is defined later. */
  #type(json: Json, at: Place, resolve: (type: AvroType) => void): void {
    if (at.depth > DEPTH_MAX) refuse('it is nested too deeply')
    if (typeof json === 'string') this.#reference(json, at, resolve)
    else if (Array.isArray(json)) resolve(this.#union(json, at))
    else this.#object(objectOf(json, 'a type'), at, resolve)
  }

  #object(json: JsonObject, at: Place, resolve: (type: AvroType) => void): void {
    const type = textOf(json.type, 'a type has no type')
    if (isAvroPrimitive(type)) resolve({ kind: type, properties: propertiesOf(json, TYPE_KEYS) })
    else if (type === 'record' || type === 'error') resolve(this.#record(json, at))
    else if (type === 'enum') resolve(this.#enum(json, at))
    else if (type === 'fixed') resolve(this.#fixed(json, at))
    else if (type === 'array') resolve(this.#array(json, at))
    else if (type === 'map') resolve(this.#map(json, at))
    else this.#reference(type, at, resolve)
  }

  #reference(name: string, { namespace }: Place, resolve: (type: AvroType) => void): void {
    if (isAvroPrimitive(name)) {
      resolve({ kind: name, properties: {} })
      return
    }
    const key = qualified(name, namespace)
    const there = this.#named.get(key) ?? this.#named.get(name)
    if (there === undefined) this.#open.push({ name, key, resolve })
    else resolve(there)
  }

  #union(json: readonly Json[], at: Place): AvroType {
    const branches: AvroType[] = []
    const seen = new Set<string>()
    for (const [index, item] of json.entries()) {
      this.#type(item, deeper(at), branch => {
        if (branch.kind === 'union') refuse('a union is in a union')
        const key = 'name' in branch ? branch.name.full : branch.kind
        if (seen.has(key)) refuse(`a union has ${shown(key)} twice`)
        seen.add(key)
        branches[index] = branch
      })
    }
    return { kind: 'union', branches }
  }

  #array(json: JsonObject, at: Place): AvroType {
    if (json.items === undefined) return refuse('an array has no items')
    const array = { kind: 'array' as const, items: NOT_YET, properties: propertiesOf(json, TYPE_KEYS) }
    this.#type(json.items, deeper(at), type => {
      array.items = type
    })
    return array
  }

  #map(json: JsonObject, at: Place): AvroType {
    if (json.values === undefined) return refuse('a map has no values')
    const map = { kind: 'map' as const, values: NOT_YET, properties: propertiesOf(json, TYPE_KEYS) }
    this.#type(json.values, deeper(at), type => {
      map.values = type
    })
    return map
  }

  #record(json: JsonObject, at: Place): AvroType {
    const name = nameOf(json, at.namespace)
    const fields = new Map<string, AvroField>()
    const record = this.#define<AvroRecord>({
      kind: 'record',
      name,
      aliases: namedAliasesOf(json, name),
      fields,
      properties: propertiesOf(json, TYPE_KEYS)
    })
    this.#unfinished.add(record)
    if (!Array.isArray(json.fields)) return refuse(`record ${shown(name.full)} has no fields`)
    for (const item of json.fields) {
      const field = this.#field(objectOf(item, 'a field'), { namespace: name.namespace, depth: at.depth + 1 })
      if (fields.has(field.name)) refuse(`record ${shown(name.full)} has the field ${shown(field.name)} twice`)
      fields.set(field.name, field)
    }
    this.#unfinished.delete(record)
    return record
  }

  #field(json: JsonObject, at: Place): AvroField {
    const name = legalName(textOf(json.name, 'a field has no name'))
    if (json.type === undefined) return refuse(`field ${shown(name)} has no type`)
    const order = json.order === undefined ? 'ASCENDING' : textOf(json.order, 'the order of a field is no text')
    if (!ORDERS.includes(order.toUpperCase())) refuse(`field ${shown(name)} has an unknown order`)
    const field = {
      name,
      type: NOT_YET,
      aliases: aliasesOf(json),
      order: order.toUpperCase(),
      default: json.default,
      properties: propertiesOf(json, FIELD_KEYS)
    }
    this.#type(json.type, at, type => {
      field.type = type
    })
    const { kind } = field.type
    if ((kind === 'float' || kind === 'double') && typeof json.default === 'string' && !isNumber(json.default)) {
      refuse(`the default of field ${shown(name)} is no number`)
    }
    return field
  }

  #enum(json: JsonObject, at: Place): AvroType {
    const name = nameOf(json, at.namespace)
    if (!Array.isArray(json.symbols)) return refuse(`enum ${shown(name.full)} has no symbols`)
    const symbols = json.symbols.map(symbol => legalName(textOf(symbol, `enum ${shown(name.full)} has an odd symbol`)))
    if (new Set(symbols).size < symbols.length) refuse(`enum ${shown(name.full)} has a symbol twice`)
    const preset = json.default
    if (typeof preset === 'string' && !symbols.includes(preset)) {
      refuse(`enum ${shown(name.full)} lacks the symbol ${shown(preset)}, which is its default`)
    }
    const properties = propertiesOf(json, ENUM_KEYS)
    return this.#define<AvroEnum>({ kind: 'enum', name, aliases: namedAliasesOf(json, name), symbols, properties })
  }

  #fixed(json: JsonObject, at: Place): AvroType {
    const name = nameOf(json, at.namespace)
    const { size } = json
    if (typeof size !== 'number' || !Number.isInteger(size) || size < 0 || size > FIXED_BYTES_MAX) {
      return refuse(`fixed ${shown(name.full)} has no size`)
    }
    const properties = propertiesOf(json, TYPE_KEYS)
    return this.#define<AvroFixed>({
      kind: 'fixed',
      name,
      aliases: namedAliasesOf(json, name),
      sizeBytes: size,
      properties
    })
  }

  /** Java compares what it has read so far: a record inside of its namesake, an enum or fixed type that says the same. */
  #mayRepeat(first: NamedType, again: NamedType): boolean {
    if (first.kind === 'record') return again.kind === 'record' && this.#unfinished.has(first)
    return (
      Object.keys(first.properties).length === 0 && canonicalAvro(first) === canonicalAvro({ ...again, properties: {} })
    )
  }

  #define<Type extends NamedType>(type: Type): Type {
    const first = this.#named.get(type.name.full)
    if (first === undefined) this.#named.set(type.name.full, type)
    else if (!this.#mayRepeat(first, type)) refuse(`${shown(type.name.full)} is defined twice`)
    return type
  }
}

interface Place {
  readonly namespace: string
  readonly depth: number
}

function deeper({ namespace, depth }: Place): Place {
  return { namespace, depth: depth + 1 }
}

function nameOf(json: JsonObject, enclosing: string): AvroName {
  const name = textOf(json.name, 'a named type has no name')
  const dot = name.lastIndexOf('.')
  const own = typeof json.namespace === 'string' ? json.namespace : enclosing
  const namespace = dot < 0 ? own : name.slice(0, dot)
  const short = legalName(name.slice(dot + 1))
  for (const part of namespace === '' ? [] : namespace.split('.')) legalName(part)
  const full = qualified(short, namespace)
  if (isAvroPrimitive(full)) refuse(`a type is called ${full}`)
  return { full, short, namespace }
}

function qualified(name: string, namespace: string): string {
  return name.includes('.') || namespace === '' ? name : `${namespace}.${name}`
}

function aliasesOf(json: JsonObject): string[] {
  const { aliases } = json
  if (aliases === undefined) return []
  if (!Array.isArray(aliases)) return refuse('aliases are no list')
  return aliases.map(alias => textOf(alias, 'an alias is no text'))
}

function namedAliasesOf(json: JsonObject, name: AvroName): string[] {
  return aliasesOf(json).map(alias => qualified(alias, name.namespace))
}

function propertiesOf(json: JsonObject, known: ReadonlySet<string>): AvroProperties {
  const entries = Object.entries(json).filter(([key]) => !known.has(key))
  return Object.fromEntries(entries)
}

/** Java takes numbers that were written as text. */
function isNumber(text: string): boolean {
  return text.trim() !== '' && (text === 'NaN' || !Number.isNaN(Number(text)))
}

function legalName(name: string): string {
  return NAME.test(name) ? name : refuse(`${shown(name)} is no name`)
}

function objectOf(json: Json, what: string): JsonObject {
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json
  return refuse(`${what} is neither name, list nor object`)
}

function textOf(json: Json | undefined, problem: string): string {
  return typeof json === 'string' ? json : refuse(problem)
}

function shown(name: string): string {
  return `'${name.length <= SHOWN_MAX ? name : `${name.slice(0, SHOWN_MAX)}…`}'`
}

function refuse(reason: string): never {
  throw new Error(reason)
}
