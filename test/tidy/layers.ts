/** The layers of the architecture: a package may import only packages of a lower one. Tests and `testing` doors too. */
export const LAYERS: Readonly<Record<string, number>> = {
  '@strata/base': 0,
  '@strata/wire': 1,
  '@strata/ledger-protocol': 1,
  '@strata/cursor-protocol': 1,
  '@strata/metadata': 2,
  '@strata/ledger-client': 3,
  '@strata/schema': 3,
  '@strata/auth': 3,
  '@strata/managed-ledger': 4,
  '@strata/client': 4,
  '@strata/sim': 4,
  '@strata/bookie': 5,
  '@strata/broker': 5,
  '@strata/proxy': 5,
  '@strata/standalone': 6,
  // the command line starts the standalone, so it stands one step above it within the same layer
  '@strata/cli': 6.5
}

/** Packages whose code may not touch clocks, sockets, files, promises or chance. */
export const PURE = ['libs/wire', 'libs/ledger-protocol', 'libs/cursor-protocol']

export function layerProblem(owner: string, imported: string): string | undefined {
  const mine = LAYERS[owner]
  const theirs = LAYERS[imported]
  if (mine === undefined) return `${owner} is in no layer`
  if (theirs === undefined) return `${imported} is in no layer`
  if (theirs >= mine) return `${owner} (L${mine}) may not import ${imported} (L${theirs}): not a lower layer`
  return undefined
}

/** Cycles among files, each as the list of its members. */
export function cyclesOf(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const index = new Map<string, number>()
  const low = new Map<string, number>()
  const stack: string[] = []
  const onStack = new Set<string>()
  const cycles: string[][] = []
  const visit = (node: string): void => {
    index.set(node, index.size)
    low.set(node, index.get(node) ?? 0)
    stack.push(node)
    onStack.add(node)
    for (const next of graph.get(node) ?? []) {
      if (!index.has(next)) {
        visit(next)
        low.set(node, Math.min(low.get(node) ?? 0, low.get(next) ?? 0))
      } else if (onStack.has(next)) low.set(node, Math.min(low.get(node) ?? 0, index.get(next) ?? 0))
    }
    if (low.get(node) !== index.get(node)) return
    const members = stack.splice(stack.indexOf(node))
    for (const member of members) onStack.delete(member)
    if (members.length > 1) cycles.push(members.sort())
  }
  for (const node of graph.keys()) if (!index.has(node)) visit(node)
  return cycles
}
