/*
  Avro definitions as clients write them are looser than the specification, and Apache Pulsar's own resolution is looser
  than the library's. So a definition is rewritten before the library sees it, keeping what matters for one question: can
  data of one be read by the other, as Apache Pulsar decides it?

    names       Java puts `$` into them: replaced. Records are matched by their fields and never by name, so all have one
                (unqualified) name; enums and fixed types keep theirs with its namespace.
    enums       a symbol that the reader lacks is no obstacle: each gets a default.
    defaults    only whether there is one counts; Python writes some that are not of a union's first branch.
    the rest    (documentation, logical types, order, properties) does not matter for reading.
*/

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }
interface JsonObject {
  [key: string]: Json
}

/** Deeper definitions are refused: they come from clients. */
export const DEPTH_MAX = 200
/** Values in all defaults of one definition. */
const DEFAULT_NODES_MAX = 10_000

export const RECORD_NAME = 'Record'

const PRIMITIVE_DEFAULTS: Readonly<Record<string, Json>> = {
  null: null,
  boolean: false,
  int: 0,
  long: 0,
  float: 0,
  double: 0,
  bytes: '',
  string: ''
}

/** @throws Error saying what is wrong with it */
export function normaliseAvro(definition: Json): Json {
  return new Normaliser().run(definition)
}

class Normaliser {
  /** Full name as written → the definition as rewritten. */
  readonly #named = new Map<string, JsonObject>()
  /** Fields that have a default, which can be made only once all names are known. */
  readonly #defaults: JsonObject[] = []
  #defaultNodes = 0

  run(definition: Json): Json {
    const type = this.#type(definition, '', 0)
    for (const field of this.#defaults) {
      const value = this.#defaultOf(field.type ?? null, new Set())
      // a default that contains itself cannot be written down, so there is none
      if (value !== undefined) field.default = value
    }
    return type
  }

  #type(json: Json, namespace: string, depth: number): Json {
    if (depth > DEPTH_MAX) throw new Error('it is nested too deeply')
    if (typeof json === 'string') return this.#reference(json, namespace)
    if (Array.isArray(json)) return json.map(branch => this.#type(branch, namespace, depth + 1))
    if (json === null || typeof json !== 'object') throw new Error('a type is neither name, list nor object')
    const { type } = json
    switch (typeof type === 'string' ? type : '') {
      case 'record':
      case 'error':
        return this.#record(json, namespace, depth)
      case 'enum':
        return this.#enum(json, namespace)
      case 'fixed': {
        const { key } = nameOf(json, namespace)
        return this.#define(key, { type: 'fixed', name: flat(key), size: json.size ?? 0 })
      }
      case 'array':
        return { type: 'array', items: this.#type(json.items ?? null, namespace, depth + 1) }
      case 'map':
        return { type: 'map', values: this.#type(json.values ?? null, namespace, depth + 1) }
      default:
        // {"type": "int"} and {"type": {"type": "record", …}} are what they wrap
        return this.#type(type ?? null, namespace, depth + 1)
    }
  }

  #reference(name: string, namespace: string): Json {
    if (Object.hasOwn(PRIMITIVE_DEFAULTS, name)) return name
    const key = name.includes('.') || namespace === '' ? name : `${namespace}.${name}`
    const there = this.#named.get(key) ?? this.#named.get(name)
    if (there === undefined) throw new Error(`there is no type called ${name.slice(0, 100)}`)
    return there.name ?? null
  }

  #record(json: JsonObject, namespace: string, depth: number): Json {
    const name = nameOf(json, namespace)
    const copy = this.#define(name.key, { type: 'record', name: `n${this.#named.size}.${RECORD_NAME}` })
    if (!Array.isArray(json.fields)) throw new Error('a record has no fields')
    copy.fields = json.fields.map(field => this.#field(field, name.namespace, depth + 1))
    return copy
  }

  #field(field: Json, namespace: string, depth: number): Json {
    if (typeof field !== 'object' || field === null || Array.isArray(field)) throw new Error('a field is no object')
    const copy: JsonObject = { name: field.name ?? '', type: this.#type(field.type ?? null, namespace, depth) }
    if (Array.isArray(field.aliases)) copy.aliases = field.aliases
    if (field.default !== undefined) this.#defaults.push(copy)
    return copy
  }

  #enum(json: JsonObject, namespace: string): Json {
    const { key } = nameOf(json, namespace)
    const { symbols } = json
    if (!Array.isArray(symbols) || symbols[0] === undefined) throw new Error('an enum has no symbols')
    return this.#define(key, { type: 'enum', name: flat(key), symbols, default: symbols[0] })
  }

  #define(key: string, copy: JsonObject): JsonObject {
    if (this.#named.has(key)) throw new Error(`${key.slice(0, 100)} is defined twice`)
    this.#named.set(key, copy)
    return copy
  }

  /** Any value of the type that may be written as a default; undefined where there is none. */
  #defaultOf(type: Json, within: ReadonlySet<string>): Json | undefined {
    if (++this.#defaultNodes > DEFAULT_NODES_MAX) throw new Error('its defaults are too large')
    if (Array.isArray(type)) return this.#defaultOf(type[0] ?? null, within)
    if (typeof type === 'string' && Object.hasOwn(PRIMITIVE_DEFAULTS, type)) return PRIMITIVE_DEFAULTS[type]
    const definition = typeof type === 'string' ? this.#byNewName(type) : type
    if (typeof definition !== 'object' || definition === null || Array.isArray(definition)) return undefined
    if (definition.type === 'array') return []
    if (definition.type === 'map') return {}
    if (definition.type === 'enum') return definition.default
    if (definition.type === 'fixed') return '\0'.repeat(Math.min(Number(definition.size), DEFAULT_NODES_MAX))
    const name = typeof definition.name === 'string' ? definition.name : ''
    if (within.has(name) || !Array.isArray(definition.fields)) return undefined
    const inside = new Set(within).add(name)
    const value: JsonObject = {}
    for (const field of definition.fields as JsonObject[]) {
      const inner = this.#defaultOf(field.type ?? null, inside)
      if (inner === undefined) return undefined
      value[typeof field.name === 'string' ? field.name : ''] = inner
    }
    return value
  }

  #byNewName(name: string): JsonObject | undefined {
    for (const definition of this.#named.values()) if (definition.name === name) return definition
    return undefined
  }
}

function nameOf(json: JsonObject, enclosing: string): { key: string; namespace: string } {
  const { name } = json
  if (typeof name !== 'string' || name === '') throw new Error('a named type has no name')
  const dot = name.lastIndexOf('.')
  if (dot >= 0) return { key: name, namespace: name.slice(0, dot) }
  const namespace = typeof json.namespace === 'string' ? json.namespace : enclosing
  return { key: namespace === '' ? name : `${namespace}.${name}`, namespace }
}

/** A full name as one that is legal and has no namespace. */
function flat(name: string): string {
  return name.replace(/[^A-Za-z0-9_]/g, character => `_${character.charCodeAt(0).toString(16)}_`)
}

/** Equal text ⇔ equal schemas for Apache Pulsar: documentation, order of keys and `{"type": "int"}` do not count. */
export function canonicalAvro(json: Json, depth = 0): Json {
  if (depth > DEPTH_MAX) throw new Error('it is nested too deeply')
  if (Array.isArray(json)) return json.map(item => canonicalAvro(item, depth + 1))
  if (typeof json !== 'object' || json === null) return json
  const keys = Object.keys(json)
    .filter(key => key !== 'doc')
    .sort()
  if (keys.length === 1 && keys[0] === 'type') return canonicalAvro(json.type ?? null, depth + 1)
  return Object.fromEntries(keys.map(key => [key, canonicalAvro(json[key] ?? null, depth + 1)]))
}
