import type { Command } from 'commander'
import type { ClusterFlags } from '../cluster.ts'
import { clusterCommand, examples } from '../options.ts'

const EXAMPLE = 'strata bookies list --metadata etcd:http://localhost:2379'

export function addBookies(program: Command): void {
  const bookies = program
    .command('bookies')
    .description('List and inspect the storage nodes of a cluster.')
    .addHelpText('after', examples(EXAMPLE, 'strata bookies describe bookie-1 --conf bookkeeper.conf'))
  clusterCommand(bookies, 'list', 'List every storage node, those that are away too.')
    .addHelpText('after', examples(EXAMPLE))
    .action(async (flags: ClusterFlags) => {
      const { listBookies } = await import('../bookie-view.ts')
      await listBookies(flags)
    })
  clusterCommand(bookies, 'describe', 'What a node says of itself, and what depends on it.')
    .argument('<node>', 'as `strata bookies list` shows it')
    .addHelpText('after', examples('strata bookies describe bookie-1 --metadata etcd:http://localhost:2379'))
    .action(async (node: string, flags: ClusterFlags) => {
      const { describeBookie } = await import('../bookie-view.ts')
      await describeBookie(node, flags)
    })
}
