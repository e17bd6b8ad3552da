import { fieldsOf, isSame, SECTIONS, type Field, type Section, type Thing } from './document.ts'

export interface FieldChange {
  readonly sign: '+' | '~' | '-'
  /** `policies.retention` */
  readonly name: string
  readonly field: Field
  readonly before: unknown
}

/** What is to become of one thing. */
export interface Change {
  readonly sign: '+' | '~' | '-'
  readonly section: Section
  readonly name: string
  readonly fields: readonly FieldChange[]
  /** As the file has it; empty for what goes. */
  readonly want: Thing
  /** As it is; empty for what is new. */
  readonly have: Thing
}

export interface PlanOptions {
  /** What the file does not have goes. */
  readonly prune: boolean
}

/** How one thing gets to be what the file says; nothing where it is that already. */
export function changeOf(
  { section, name }: { section: Section; name: string },
  { want, have }: { want: Thing; have: Thing | undefined },
  { prune }: PlanOptions
): Change | undefined {
  const before = fieldsOf(have ?? {})
  const after = fieldsOf(want)
  const fields: FieldChange[] = []
  for (const [field, value] of after) {
    const old = before.get(field)
    if (old !== undefined && isSame(old.value, value.value)) continue
    if (old !== undefined && isOfBirth(section, field)) continue
    fields.push({ sign: old === undefined ? '+' : '~', name: field, field: value, before: old?.value })
  }
  if (prune && have !== undefined) {
    for (const [field, value] of before) {
      if (after.has(field) || isOfBirth(section, field)) continue
      fields.push({ sign: '-', name: field, field: value, before: value.value })
    }
  }
  if (have !== undefined && fields.length === 0) return undefined
  return { sign: have === undefined ? '+' : '~', section, name, fields, want, have: have ?? {} }
}

/** Brokers divide namespaces further as they are used: what they were made with says nothing later on. */
function isOfBirth(section: Section, field: string): boolean {
  return section === 'namespaces' && field === 'bundles'
}

export function removalOf(section: Section, name: string): Change {
  return { sign: '-', section, name, fields: [], want: {}, have: {} }
}

/** What is made and changed in the order of sections, then what goes in the opposite order: nothing is left without what it needs. */
export function inOrderOfWork(changes: readonly Change[]): Change[] {
  const rank = ({ section }: Change): number => SECTIONS.indexOf(section)
  const kept = changes.filter(({ sign }) => sign !== '-').sort((a, b) => rank(a) - rank(b))
  const going = changes.filter(({ sign }) => sign === '-').sort((a, b) => rank(b) - rank(a))
  return [...kept, ...going]
}
