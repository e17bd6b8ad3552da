import { isRecord, withAdmin, type AdminFlags } from './admin.ts'
import { printJson, printLine, printTable } from './output.ts'

/** What is set in any namespace and on any topic, and does nothing: its feature is not there yet. */
export async function checkPolicies(flags: AdminFlags): Promise<void> {
  const answer = await withAdmin(flags, admin => admin.call('GET', 'policies/check'))
  const found = Array.isArray(answer) ? answer.filter(isRecord) : []
  if (flags.json === true) {
    for (const policy of found) await printJson(policy)
    return
  }
  if (found.length === 0) {
    await printLine('every policy that is set acts')
    return
  }
  const rows = found.map(({ policy, namespace, topic, reach, value }) => [
    text(policy),
    text(topic ?? namespace),
    text(reach ?? ''),
    JSON.stringify(value)
  ])
  printTable(['stored, not acting', 'of', 'reach', 'value'], rows)
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : ''
}
