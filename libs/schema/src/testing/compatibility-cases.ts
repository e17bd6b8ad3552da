// Pairs of schemas on which Apache Pulsar was asked for its opinion (pulsar-answers.json).
import { avroCases } from './avro-cases.ts'
import { otherCases } from './other-cases.ts'
import type { CompatibilityCase } from './case.ts'

/** Names are unique: answers are kept by them. */
export const compatibilityCases: readonly CompatibilityCase[] = [...avroCases, ...otherCases]
