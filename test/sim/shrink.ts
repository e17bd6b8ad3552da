import type { Plan } from './plan.ts'
import { runPlan, type SeedResult } from './run-seed.ts'

/** Runs that shrinking may take. */
const RUNS_MAX = 300

/**
 * A smaller plan that fails by the same invariant: faults and visits are left out, halves first, then one by one, then
 * there is less to write and less time. Deterministic; gives the plan it began with if nothing can be left out.
 */
export async function shrink(plan: Plan, failed: SeedResult): Promise<{ plan: Plan; runs: number }> {
  const invariant = failed.failure?.invariant
  let best = plan
  let runs = 0
  const isBetter = async (candidate: Plan): Promise<boolean> => {
    if (runs >= RUNS_MAX) return false
    runs++
    const { failure } = await runPlan(candidate)
    if (failure?.invariant !== invariant) return false
    best = candidate
    return true
  }
  for (let isSmaller = true; isSmaller && runs < RUNS_MAX;) {
    isSmaller = false
    for (const list of ['faults', 'visits'] as const) {
      for (let size = Math.ceil(best[list].length / 2); size >= 1; size = Math.floor(size / 2)) {
        for (let at = 0; at < best[list].length;) {
          const kept = best[list].filter((_, i) => i < at || i >= at + size)
          if (await isBetter({ ...best, [list]: kept })) isSmaller = true
          else at += size
        }
      }
    }
    for (const candidate of smaller(best)) if (await isBetter(candidate)) isSmaller = true
  }
  return { plan: best, runs }
}

function smaller(plan: Plan): Plan[] {
  const { writer } = plan
  const candidates: Plan[] = []
  if (plan.logs > 1) candidates.push({ ...plan, logs: 1 })
  if (plan.readersPerLog > 0) candidates.push({ ...plan, readersPerLog: 0 })
  if (writer.entries > 4) candidates.push({ ...plan, writer: { ...writer, entries: Math.floor(writer.entries / 2) } })
  if (writer.burst > 1) candidates.push({ ...plan, writer: { ...writer, burst: 1 } })
  if (writer.deleteChance > 0) candidates.push({ ...plan, writer: { ...writer, deleteChance: 0 } })
  if (plan.isEmptied) candidates.push({ ...plan, isEmptied: false })
  if (plan.isCared) candidates.push({ ...plan, isCared: false })
  const { storage } = plan
  const plain = { isApart: false, journals: 1, entryLogs: 1, recentBytes: 0, reserveBytes: 0, isScrubbed: false }
  if (JSON.stringify(storage) !== JSON.stringify(plain)) candidates.push({ ...plan, storage: plain })
  return candidates
}
