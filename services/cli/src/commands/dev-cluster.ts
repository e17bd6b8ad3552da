import { Option, type Command } from 'commander'
import type { DevClusterFlags } from '../dev-cluster-run.ts'
import { collect, examples, wholeNumber } from '../options.ts'

export function addDevCluster(program: Command): void {
  program
    .command('dev-cluster')
    .description('Run a whole cluster on this machine: etcd, storage nodes and brokers, each a process of its own.')
    .option('--brokers <n>', 'how many', wholeNumber(0, 32), 1)
    .option('--bookies <n>', 'how many storage nodes', wholeNumber(1, 32), 3)
    .option('--etcd <n>', 'how many members', wholeNumber(1, 5), 1)
    .option('--data <dir>', 'where everything is kept, logs too', 'data/dev-cluster')
    .option(
      '--base-port <port>',
      'the first of two ports for each; else free ones, kept for the next start',
      wholeNumber(1, 65_000)
    )
    .addOption(new Option('--etcd-binary <file>', 'etcd, where it is not on PATH').env('STRATA_ETCD'))
    .option('--bookie-set <key=value>', 'a setting of every storage node; may be repeated', collect, [])
    .option('--broker-set <key=value>', 'a setting of every broker; may be repeated', collect, [])
    .option('--json', 'one JSON object a line: ready, and what ends by itself')
    .addHelpText(
      'after',
      examples('strata dev-cluster', 'strata dev-cluster --brokers 3 --bookies 3 --etcd 3 --data /tmp/dev')
    )
    .action(async (flags: DevClusterFlags) => {
      const { runDevCluster } = await import('../dev-cluster-run.ts')
      await runDevCluster(flags)
    })
}
