import { readdirSync, readFileSync } from 'node:fs'

/** What processes and everything that they started have used. */
export interface Usage {
  /** User and system time so far, seconds. */
  cpuSeconds(): number
  /** A page that is mapped more than once counts once: ZGC maps a heap thrice, and processes share the text of their program. */
  residentBytes(): number
}

export function usageOf(roots: () => readonly number[]): Usage {
  const sum = (of: (pid: number) => number): number => treesOf(roots()).reduce((total, pid) => total + of(pid), 0)
  return { cpuSeconds: () => sum(cpuOf), residentBytes: () => sum(residentOf) }
}

/** Processes and their descendants: a start script is not the server. */
function treesOf(roots: readonly number[]): number[] {
  const parents = new Map<number, number>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const stat = readProc(`/proc/${name}/stat`)
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
    parents.set(Number(name), parent)
  }
  const tree = new Set(roots)
  for (let grew = true; grew;) {
    grew = false
    for (const [id, parent] of parents) {
      if (!tree.has(parent) || tree.has(id)) continue
      tree.add(id)
      grew = true
    }
  }
  return [...tree]
}

const TICKS_PER_SECOND = 100

function cpuOf(pid: number): number {
  const stat = readProc(`/proc/${pid}/stat`)
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / TICKS_PER_SECOND
}

function residentOf(pid: number): number {
  const match = /^Pss:\s+(\d+) kB/m.exec(readProc(`/proc/${pid}/smaps_rollup`))
  return match === null ? 0 : Number(match[1]) * 1024
}

function readProc(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
