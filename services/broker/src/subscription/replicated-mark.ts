/*
  Whether a subscription is to be replicated is kept among the properties of its cursor, under a name that is not shown: nothing is
  replicated yet, so nobody but the admin API looks at it.
*/

const MARK = 'strata.replicated'

type Properties = Readonly<Record<string, string>>

export function isMarkedReplicated(properties: Properties): boolean {
  return properties[MARK] !== undefined
}

/** Those that clients gave. */
export function shownProperties(properties: Properties): Properties {
  if (!isMarkedReplicated(properties)) return properties
  return Object.fromEntries(Object.entries(properties).filter(([name]) => name !== MARK))
}

export function markedReplicated(properties: Properties, isReplicated: boolean): Properties {
  const shown = shownProperties(properties)
  return isReplicated ? { ...shown, [MARK]: 'true' } : shown
}
