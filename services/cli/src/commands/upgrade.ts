import type { Command } from 'commander'
import type { ClusterFlags } from '../cluster.ts'
import { clusterCommand, examples } from '../options.ts'

const METADATA = '--metadata etcd:http://localhost:2379'

export function addUpgrade(program: Command): void {
  const upgrade = program
    .command('upgrade')
    .description('Which formats the nodes of a cluster may write, and when newer ones begin.')
    .addHelpText('after', examples(`strata upgrade status ${METADATA}`))
  clusterCommand(upgrade, 'status', 'What each node knows, and what is written now.')
    .addHelpText('after', examples(`strata upgrade status ${METADATA}`))
    .action(async (flags: ClusterFlags) => {
      const { upgradeStatus } = await import('../upgrade.ts')
      await upgradeStatus(flags)
    })
  clusterCommand(
    upgrade,
    'finalize',
    'Write the newest formats that every node knows. The release before cannot read them.'
  )
    .option('--force', 'also where storage nodes are away, whose release is not known')
    .addHelpText('after', examples(`strata upgrade finalize ${METADATA}`))
    .action(async (flags: ClusterFlags & { force?: boolean }) => {
      const { finalizeUpgrade } = await import('../upgrade.ts')
      await finalizeUpgrade(flags)
    })
}
