/** Groups of storage nodes that the copies of a ledger belong on. */
export interface NodeGroups {
  readonly primary: readonly string[]
  /** Where the primary ones have too few nodes. */
  readonly secondary: readonly string[]
}

/**
 * Which nodes may hold copies of a ledger: those of its primary groups, if they are as many as are `needed`; else those of the
 * secondary ones too, behind them; rather too few than others. Without groups: all.
 */
export function nodesWithin<Node extends { readonly group?: string }>(
  nodes: readonly Node[],
  groups: NodeGroups | undefined,
  needed: number
): readonly Node[] {
  if (groups === undefined) return nodes
  const isIn = (names: readonly string[], { group }: Node): boolean => group !== undefined && names.includes(group)
  const primary = nodes.filter(node => isIn(groups.primary, node))
  if (primary.length >= needed) return primary
  return [...primary, ...nodes.filter(node => !isIn(groups.primary, node) && isIn(groups.secondary, node))]
}
