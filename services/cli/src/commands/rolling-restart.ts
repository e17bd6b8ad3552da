import { Option } from 'commander'
import type { Command } from 'commander'
import { clusterCommand, duration, examples } from '../options.ts'
import type { RollingFlags } from '../rolling-restart.ts'

export function addRollingRestart(program: Command): void {
  clusterCommand(
    program,
    'rolling-restart',
    'Restart every node, one after another, each only while the cluster is well.'
  )
    .option('--command <template>', 'how one is restarted: a shell command with {kind}, {id}, {host}, {address}')
    .option('--dev-cluster <dir>', 'the directory of a running strata dev-cluster, in place of --command')
    .addOption(new Option('--only <kind>', 'these alone').choices(['bookies', 'brokers']))
    .option('--timeout <time>', 'how long a node may take to be back, and the cluster to settle', duration, 300_000)
    .option('--settle <time>', 'how long the cluster must be well before the next node', duration, 3_000)
    .option('--dry-run', 'say what would be restarted, in which order')
    .addHelpText(
      'after',
      examples(
        "strata rolling-restart --metadata etcd:http://localhost:2379 --command 'ssh {host} systemctl restart strata-{kind}'",
        'strata rolling-restart --dev-cluster data/dev-cluster --json'
      )
    )
    .action(async (flags: RollingFlags) => {
      const { rollingRestart } = await import('../rolling-restart.ts')
      await rollingRestart(flags)
    })
}
