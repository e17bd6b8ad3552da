import type { NodeGroups } from '@strata/ledger-client'

/** Groups of storage nodes that a namespace's ledgers go to, as the admin API takes them: names with commas between. */
export interface BookieAffinity {
  readonly bookkeeperAffinityGroupPrimary?: string
  readonly bookkeeperAffinityGroupSecondary?: string
}

/** undefined: its ledgers go to any nodes. */
export function affinityGroups(affinity: BookieAffinity | undefined): NodeGroups | undefined {
  if (affinity?.bookkeeperAffinityGroupPrimary === undefined) return undefined
  return {
    primary: namesIn(affinity.bookkeeperAffinityGroupPrimary),
    secondary: namesIn(affinity.bookkeeperAffinityGroupSecondary ?? '')
  }
}

function namesIn(text: string): string[] {
  return text
    .split(',')
    .map(name => name.trim())
    .filter(name => name !== '')
}
