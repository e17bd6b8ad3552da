import type { PulsarAnswer } from './pulsar-answer.ts'

interface Decision {
  /** What we answer instead. */
  readonly ours: Partial<PulsarAnswer>
  readonly why: string
}

const REFUSED = { fits: ['ALWAYS_COMPATIBLE'], version: -1, added: '409' } as const
const TYPES = {
  ours: REFUSED,
  why: 'Apache Pulsar compares the definitions alone, which are empty: consumers would decode keys and values as what they are not'
}
const ODD_DEFAULT = {
  ours: { added: '409' },
  why: 'it is refused either way: Apache Pulsar answers with an internal error'
}
const INVALID = {
  ours: { version: '422', added: '422' },
  why: 'it is refused either way: Apache Pulsar answers with an internal error'
}

/**
 * Cases that are answered otherwise than Apache Pulsar does. Beside these, asked whether a schema is compatible it answers 500
 * for no; we answer 202 and `"compatibility":false` with the reason, and 422 for what is no schema.
 */
export const decisions: Readonly<Record<string, Decision>> = {
  'definition: empty union': ODD_DEFAULT,
  'definition: enum with no symbol': ODD_DEFAULT,
  'definition: default of another type': ODD_DEFAULT,
  'definition: default null for an int': ODD_DEFAULT,
  'key-value: type of the key': TYPES,
  'key-value: type of the value': TYPES,
  'key-value: without types': TYPES,
  'key-value: an unknown type': INVALID,
  'key-value: JSON that is none': INVALID
}
