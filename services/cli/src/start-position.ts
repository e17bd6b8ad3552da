import { InvalidArgumentError } from 'commander'
import { durationMsOf } from './options.ts'

/** Where to read from, or to move a subscription to. */
export type StartPosition =
  | { readonly kind: 'earliest' }
  | { readonly kind: 'latest' }
  | {
      readonly kind: 'id'
      readonly ledgerId: number
      readonly entryId: number
      /** -1 unless the id names one. */
      readonly partition: number
      /** -1: the whole entry. */
      readonly batchIndex: number
    }
  | { readonly kind: 'time'; readonly atMs: number }

/** In words, for help. */
export const POSITION_FORMS =
  'earliest, latest, <ledger:entry[:partition[:batch index]]>, a time (2026-01-31T12:00Z) or an age (10m)'

/**
 * `earliest`, `latest`, an id as `--json` prints it, a time in ISO 8601 or milliseconds since 1970, or an age (`10m`).
 * @throws InvalidArgumentError
 */
export function startPosition(text: string, nowMs: number = Date.now()): StartPosition {
  if (text === 'earliest' || text === 'latest') return { kind: text }
  const id = /^(\d{1,15}):(\d{1,15})(?::(-1|\d{1,9}))?(?::(\d{1,9}))?$/.exec(text)
  if (id !== null) {
    const [, ledger, entry, partition = '-1', batch = '-1'] = id
    return {
      kind: 'id',
      ledgerId: Number(ledger),
      entryId: Number(entry),
      partition: Number(partition),
      batchIndex: Number(batch)
    }
  }
  if (/^\d{11,15}$/.test(text)) return { kind: 'time', atMs: Number(text) }
  const ageMs = /[a-z]$/.test(text) ? durationMsOf(text) : undefined
  if (ageMs !== undefined) return { kind: 'time', atMs: nowMs - ageMs }
  const atMs = /^\d{4}-/.test(text) ? Date.parse(text) : NaN
  if (!Number.isNaN(atMs)) return { kind: 'time', atMs }
  throw new InvalidArgumentError(`It must be ${POSITION_FORMS}.`)
}

/** For commander, whose parsers get the previous value as their second argument. */
export function positionArgument(text: string): StartPosition {
  return startPosition(text)
}
