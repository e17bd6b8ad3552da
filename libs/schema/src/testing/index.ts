export { type CompatibilityCase, type SchemaText } from './case.ts'
export { compatibilityCases } from './compatibility-cases.ts'
export { decisions } from './decisions.ts'
export { type PulsarAnswer } from './pulsar-answer.ts'
