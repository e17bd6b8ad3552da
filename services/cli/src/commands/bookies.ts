import type { Command } from 'commander'
import type { DecommissionFlags } from '../bookie-care.ts'
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
  addCare(bookies)
}

function addCare(bookies: Command): void {
  const node = 'as `strata bookies list` shows it'
  clusterCommand(bookies, 'decommission', 'Let a node leave: others get what it holds; then it may be switched off.')
    .argument('<node>', node)
    .option('--destroyed', 'it will never come back, nor what it held')
    .option('--wait', 'until nothing depends on it')
    .addHelpText('after', examples('strata bookies decommission bookie-1 --wait --metadata etcd:http://localhost:2379'))
    .action(async (name: string, flags: DecommissionFlags) => {
      const { decommissionBookie } = await import('../bookie-care.ts')
      await decommissionBookie(name, flags)
    })
  clusterCommand(bookies, 'recommission', 'Take back that a node is to leave, or is destroyed.')
    .argument('<node>', node)
    .addHelpText('after', examples('strata bookies recommission bookie-1 --metadata etcd:http://localhost:2379'))
    .action(async (name: string, flags: ClusterFlags) => {
      const { recommissionBookie } = await import('../bookie-care.ts')
      await recommissionBookie(name, flags)
    })
  clusterCommand(bookies, 'care', 'What is being done to bring copies back, and what is in the way.')
    .addHelpText('after', examples('strata bookies care --json --metadata etcd:http://localhost:2379'))
    .action(async (flags: ClusterFlags) => {
      const { showCare } = await import('../bookie-care.ts')
      await showCare(flags)
    })
}
