import { canonical, KINDS } from './document.ts'
import { HIDDEN, isSecretName, withSecretsHidden } from '../secrets.ts'
import type { Change, FieldChange } from './plan.ts'

const VALUE_CHARS_MAX = 120

/** One line for what is made or goes, one more for each fact that changes. */
export function changeText({ sign, section, name, fields }: Change): string {
  const head = `${sign} ${KINDS[section]} ${name}`
  if (sign === '-') return head
  if (sign === '+') return fields.length === 0 ? head : `${head} (${fields.map(field => field.name).join(', ')})`
  const lines = fields.map(field => {
    const { before, value } = shownValues(field)
    if (field.sign === '~') return `    ~ ${field.name}: ${shortText(before)} -> ${shortText(value)}`
    return `    ${field.sign} ${field.name}: ${shortText(value)}`
  })
  return [head, ...lines].join('\n')
}

/** For programs. */
export function changeRecord({ sign, section, name, fields }: Change): object {
  return {
    change: sign,
    section,
    name,
    fields: fields.map(field => {
      const { before, value } = shownValues(field)
      return {
        change: field.sign,
        field: field.name,
        ...(field.sign === '+' ? {} : { before }),
        ...(field.sign === '-' ? {} : { after: value })
      }
    })
  }
}

export function summaryText(changes: readonly Change[]): string {
  if (changes.length === 0) return 'nothing to change'
  const count = (sign: Change['sign']): number => changes.filter(change => change.sign === sign).length
  return `${count('+')} to make, ${count('~')} to change, ${count('-')} to delete`
}

export function leftText(left: number): string {
  if (left === 0) return ''
  return `; ${left} ${left === 1 ? 'thing is' : 'things are'} not in the file and stay: --prune deletes them`
}

/** A file may have secrets that somebody wrote into it. */
function shownValues({ field, before }: FieldChange): { before: unknown; value: unknown } {
  const shown = isSecretName(field.path.at(-1) ?? '') ? () => HIDDEN : withSecretsHidden
  return { before: shown(before), value: shown(field.value) }
}

function shortText(value: unknown): string {
  const text = canonical(value)
  return text.length <= VALUE_CHARS_MAX ? text : `${text.slice(0, VALUE_CHARS_MAX)}...`
}
