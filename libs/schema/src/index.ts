export {
  checkCompatible,
  COMPATIBILITY_STRATEGIES,
  isCompatibilityStrategy,
  isSameSchema,
  validateSchema,
  type CompatibilityStrategy
} from './compatibility.ts'
export { isSchemaError, schemaError, type SchemaErrorCode } from './errors.ts'
export { keyValueDefinition, keyValueText } from './key-value.ts'
export {
  decodeSchemaVersion,
  encodeSchemaVersion,
  SchemaRegistry,
  type SchemaRules,
  type StoredSchema
} from './registry.ts'
export {
  isSchemaType,
  numberOfSchemaType,
  schemaTypeOfNumber,
  type SchemaDefinition,
  type SchemaType
} from './schema-type.ts'
