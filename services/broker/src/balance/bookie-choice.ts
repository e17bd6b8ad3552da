import type { BookieDescription } from '@strata/ledger-client'
import type { BookieRack } from './rows.ts'

/** Groups of storage nodes that a namespace's ledgers go to, as the admin API takes them: names with commas between. */
export interface BookieAffinity {
  readonly bookkeeperAffinityGroupPrimary?: string
  readonly bookkeeperAffinityGroupSecondary?: string
}

/**
 * Which nodes may hold ledgers of a namespace. Its primary groups, if those have as many as are `needed`; else the secondary
 * ones too; rather too few than others. Without affinity: all. Where an operator said where a node stands, that counts over
 * what the node says of itself.
 */
export function chooseBookies(
  writable: readonly BookieDescription[],
  options: {
    readonly needed: number
    readonly affinity: BookieAffinity | undefined
    readonly racks: ReadonlyMap<string, BookieRack>
  }
): readonly BookieDescription[] {
  const { needed, affinity, racks } = options
  const placed = racks.size === 0 ? writable : writable.map(node => placedNode(node, racks.get(node.bookieId)))
  if (affinity?.bookkeeperAffinityGroupPrimary === undefined) return placed
  const isIn = (groups: readonly string[], { bookieId }: BookieDescription): boolean =>
    groups.includes(racks.get(bookieId)?.group ?? '')
  const first = groupsOf(affinity.bookkeeperAffinityGroupPrimary)
  const second = groupsOf(affinity.bookkeeperAffinityGroupSecondary ?? '')
  const primary = placed.filter(node => isIn(first, node))
  return primary.length >= needed
    ? primary
    : [...primary, ...placed.filter(node => !isIn(first, node) && isIn(second, node))]
}

function placedNode(node: BookieDescription, said: BookieRack | undefined): BookieDescription {
  if (said === undefined) return node
  return {
    ...node,
    ...(said.rack === '' ? {} : { rack: said.rack }),
    ...(said.hostname === '' ? {} : { host: said.hostname })
  }
}

function groupsOf(text: string): string[] {
  return text
    .split(',')
    .map(name => name.trim())
    .filter(name => name !== '')
}
