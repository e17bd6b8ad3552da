import { existsSync } from 'node:fs'
import { readAuditLog, type AuditRecord } from '@strata/broker'
import { CommandFailure } from './failure.ts'
import { printJson, printLine } from './output.ts'

export interface AuditFlags {
  readonly since?: string
  readonly role?: string
  readonly path?: string
  readonly operation?: string
  readonly refused?: boolean
  readonly json?: boolean
}

const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const REFUSED_FROM = 400
/** Of what else is no time, Date makes one. */
const ISO_TIME = /^\d{4}-\d{2}-\d{2}(T\S+)?$/

/** @throws CommandFailure: there is no such file, or no such time */
export async function showAudit(file: string, flags: AuditFlags): Promise<void> {
  if (!existsSync(file))
    throw new CommandFailure(`${file}: there is no such file; a broker writes its strataAuditLogPath`)
  const sinceMs = flags.since === undefined ? -Infinity : sinceOf(flags.since, Date.now())
  for await (const record of readAuditLog(file)) {
    if (!isWanted(record, { ...flags, sinceMs })) continue
    await (flags.json === true ? printJson(record) : printLine(lineOf(record)))
  }
}

/** @throws CommandFailure */
export function sinceOf(text: string, nowMs: number): number {
  const [, count, unit = ''] = /^(\d+)([smhd])$/.exec(text) ?? []
  if (count !== undefined) return nowMs - Number(count) * (UNIT_MS[unit] ?? 0)
  const timeMs = ISO_TIME.test(text) ? Date.parse(text) : NaN
  if (Number.isNaN(timeMs)) throw new CommandFailure(`--since ${text}: write it as 12h or 2026-01-31T12:00:00Z`)
  return timeMs
}

export function isWanted(record: AuditRecord, wanted: AuditFlags & { readonly sinceMs: number }): boolean {
  if (Date.parse(record.time) < wanted.sinceMs) return false
  if (wanted.role !== undefined && !record.roles.includes(wanted.role)) return false
  if (wanted.path !== undefined && !record.path.includes(wanted.path)) return false
  if (wanted.operation !== undefined && record.operation !== wanted.operation) return false
  return wanted.refused !== true || record.status >= REFUSED_FROM
}

function lineOf({ time, roles, address, method, path, operation, status, reason }: AuditRecord): string {
  const who = roles.length === 0 ? '-' : roles.join(' for ')
  const why = reason === undefined ? '' : `  ${reason}`
  return `${time}  ${status}  ${who} (${address})  ${operation}  ${method} ${path}${why}`
}
