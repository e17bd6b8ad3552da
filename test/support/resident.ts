import { readFileSync } from 'node:fs'

/** Resident memory of a process, bytes (Linux). */
export function residentBytes(pid: number): number {
  return statusBytes(pid, 'VmRSS')
}

/** The most that it ever was. */
export function residentPeakBytes(pid: number): number {
  return statusBytes(pid, 'VmHWM')
}

function statusBytes(pid: number, field: string): number {
  const match = new RegExp(`${field}:\\s+(\\d+) kB`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return match === null ? 0 : Number(match[1]) * 1024
}
