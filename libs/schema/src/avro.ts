import { canonicalAvro } from './avro-equality.ts'
import { parseAvroText } from './avro-parser.ts'
import type { AvroType } from './avro-type.ts'
import { schemaError } from './errors.ts'

/** A definition that was parsed and can be compared. */
export interface AvroDefinition {
  /** Equal text, equal schema. */
  readonly canonical: string
  readonly type: AvroType
}

/** @throws SchemaError SCHEMA_INVALID saying what is wrong */
export function parseAvro(data: Uint8Array): AvroDefinition {
  try {
    const type = parseAvroText(Buffer.from(data).toString('utf8'))
    return { canonical: canonicalAvro(type), type }
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.slice(0, 200) : 'it is unreadable'
    throw schemaError('SCHEMA_INVALID', reason, cause)
  }
}
