import { isRecord, numberOf, withAdmin, type AdminClient, type AdminFlags } from './admin.ts'
import { printFields, printJson, printLine } from './output.ts'
import { namespacePath } from './topic-path.ts'

export interface QuotaFlags extends AdminFlags {
  readonly messagesIn?: number
  readonly messagesOut?: number
  readonly bytesIn?: number
  readonly bytesOut?: number
  readonly memory?: number
  readonly dynamic?: boolean
  readonly reset?: boolean
}

/** Whose quota it is; without them that of every bundle which has none of its own. */
interface QuotaOf {
  readonly namespace: string | undefined
  readonly bundle: string | undefined
}

const NUMBERS = [
  ['messagesIn', 'msgRateIn', 'messages in a second'],
  ['messagesOut', 'msgRateOut', 'messages out a second'],
  ['bytesIn', 'bandwidthIn', 'bytes in a second'],
  ['bytesOut', 'bandwidthOut', 'bytes out a second'],
  ['memory', 'memory', 'memory, MB']
] as const

/** Shows what is expected of a bundle; changes it first where a flag says so: what no flag names stays. */
export async function bundleQuota(of: QuotaOf, flags: QuotaFlags): Promise<void> {
  await withAdmin(flags, async admin => {
    if (flags.reset === true) return reset(admin, of, flags)
    const path = pathOf(of)
    const now = await admin.call('GET', path)
    const given = { ...(isRecord(now) ? now : {}), ...changesIn(flags) }
    if (Object.keys(changesIn(flags)).length > 0) await admin.call('POST', path, given)
    if (flags.json === true) await printJson({ ...of, ...given })
    else
      printFields([
        ['quota of', nameOf(of)],
        ...NUMBERS.map(([, field, label]) => [label, numberOf(given[field])] as const),
        ['follows the load', given.dynamic === true]
      ])
  })
}

async function reset(admin: AdminClient, of: QuotaOf, flags: QuotaFlags): Promise<void> {
  // that of all bundles has no path to delete: without a body it is as it was at first
  if (of.bundle === undefined) await admin.call('POST', pathOf(of))
  else await admin.call('DELETE', pathOf(of))
  await (flags.json === true ? printJson({ ...of, reset: true }) : printLine(`reset the quota of ${nameOf(of)}`))
}

function changesIn(flags: QuotaFlags): Record<string, number | boolean> {
  const changes: Record<string, number | boolean> = {}
  for (const [flag, field] of NUMBERS) {
    const value = flags[flag]
    if (value !== undefined) changes[field] = value
  }
  if (flags.dynamic !== undefined) changes.dynamic = flags.dynamic
  return changes
}

function pathOf({ namespace, bundle }: QuotaOf): string {
  if (namespace === undefined || bundle === undefined) return 'resource-quotas'
  return `resource-quotas/${namespacePath(namespace)}/${encodeURIComponent(bundle)}`
}

function nameOf({ namespace, bundle }: QuotaOf): string {
  return bundle === undefined ? 'every bundle without one of its own' : `${namespace ?? ''} ${bundle}`
}
