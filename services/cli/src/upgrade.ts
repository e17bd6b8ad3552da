import { systemClock, type BookieId } from '@strata/base'
import { bookieOfDeclaration, DECLARATIONS_PREFIX } from '@strata/bookie/server'
import { finalizeLevel, levelsOf, readFeatureLevel } from '@strata/metadata'
import { rowsBelow, withCluster, type Cluster, type ClusterFlags } from './cluster.ts'
import { CommandFailure } from './failure.ts'
import { printJson, printLine, printTable } from './output.ts'
import { clusterNodes, missingBookies, type ClusterNode } from './rolling/nodes.ts'

interface Standing {
  /** What may be written now. */
  readonly level: number
  readonly nodes: readonly ClusterNode[]
  /** Storage nodes of which nobody knows what they will be when they come back. */
  readonly away: readonly BookieId[]
  /** The highest that every node which is there can read. */
  readonly possible: number
}

/** Which formats may be written, and what each node knows. */
export async function upgradeStatus(flags: ClusterFlags): Promise<void> {
  await withCluster(flags, async cluster => {
    const { level, nodes, away, possible } = await standingOf(cluster)
    if (flags.json === true) {
      const rows = nodes.map(({ kind, id, version, capabilities }) => ({
        kind,
        id,
        version,
        levels: levelsOf(capabilities)
      }))
      await printJson({ level, possible, nodes: rows, away })
      return
    }
    printTable(
      ['node', 'id', 'version', 'formats'],
      [
        ...nodes.map(node => [node.kind, node.id, node.version === '' ? '-' : node.version, rangeText(node)]),
        ...away.map(id => ['bookie', id, 'away', '-'])
      ]
    )
    const next = possible > level ? `${possible} with strata upgrade finalize` : 'every node knows it, and none more'
    await printLine(`formats of level ${level} are written; ${next}`)
  })
}

/** From now on formats of the highest level that every node knows are written: there is no way back to the release before. */
export async function finalizeUpgrade(flags: ClusterFlags & { force?: boolean }): Promise<void> {
  await withCluster(flags, async cluster => {
    const { level, nodes, away, possible } = await standingOf(cluster)
    if (nodes.length === 0) throw new CommandFailure('no node is there: start the cluster first')
    if (away.length > 0 && flags.force !== true) {
      const advice = 'start it, or declare it with strata bookies decommission; --force leaves it behind'
      throw new CommandFailure(`bookie ${away[0] ?? ''} is away, and its release is not known: ${advice}`)
    }
    const behind = nodes.filter(({ capabilities }) => levelsOf(capabilities).max === possible)
    const highest = Math.max(...nodes.map(({ capabilities }) => levelsOf(capabilities).max))
    if (possible > level) await finalizeLevel(cluster.metadata, { level: possible, clock: systemClock })
    const changed = possible > level
    if (flags.json === true) await printJson({ level: Math.max(level, possible), was: level, changed })
    else if (changed) await printLine(`formats of level ${possible} are written from now on (it was ${level})`)
    else await printLine(`nothing to finalize: formats of level ${level} are written`)
    if (highest > possible && flags.json !== true) {
      const names = behind.map(({ kind, id }) => `${kind} ${id}`).join(', ')
      await printLine(`some nodes know level ${highest}; these do not: ${names}`)
    }
  })
}

async function standingOf(cluster: Cluster): Promise<Standing> {
  const level = await readFeatureLevel(cluster.metadata)
  const nodes = await clusterNodes(cluster)
  const away = await missingBookies(cluster, await declaredBookies(cluster))
  const possible = nodes.length === 0 ? level : Math.min(...nodes.map(({ capabilities }) => levelsOf(capabilities).max))
  return { level, nodes, away, possible }
}

async function declaredBookies({ metadata }: Cluster): Promise<Set<BookieId>> {
  const found = new Set<BookieId>()
  for await (const { key } of rowsBelow(metadata, DECLARATIONS_PREFIX, { keysOnly: true })) {
    const id = bookieOfDeclaration(key)
    if (id !== undefined) found.add(id)
  }
  return found
}

function rangeText({ capabilities }: ClusterNode): string {
  const { min, max } = levelsOf(capabilities)
  return min === max ? String(max) : `${min} to ${max}`
}
