import { fields, type PolicySpecs, type Problem } from './policy-spec.ts'

/** What operators note about a namespace, for themselves. */
export interface PropertyPolicies {
  properties: Readonly<Record<string, string>>
}

/** Set and read in ways of their own, so no level says how. */
export const propertyPolicies: PolicySpecs<PropertyPolicies> = {
  properties: { field: 'properties', parse: parseProperties }
}

function parseProperties(value: unknown): PropertyPolicies['properties'] | Problem {
  const properties = Object.entries(fields(value))
  const areTexts = properties.every((pair): pair is [string, string] => typeof pair[1] === 'string')
  return areTexts ? Object.fromEntries(properties) : { problem: 'Properties must be a map of texts' }
}
