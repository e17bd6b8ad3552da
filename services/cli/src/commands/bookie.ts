import type { Command } from 'commander'
import type { BookieFlags } from '../bookie-run.ts'
import { collect, examples } from '../options.ts'

export function addBookie(program: Command): void {
  program
    .command('bookie')
    .description('Run one storage node of a cluster in this process.')
    .option('--conf <file>', "settings in Apache BookKeeper's .conf format")
    .option('--set <key=value>', 'one setting; may be repeated; stronger than file and environment', collect, [])
    .option('--lenient', 'warn of settings that Strata does not have, instead of refusing them')
    .option('--json', 'one JSON line when ready, and JSON logs')
    .addHelpText(
      'after',
      examples(
        'strata bookie --set metadataStoreUrl=etcd:http://localhost:2379',
        'strata bookie --conf bookkeeper.conf --set bindAddress=0.0.0.0 --set strataClusterSecretFile=/etc/strata/secret'
      )
    )
    .action(async (flags: BookieFlags) => {
      const { runBookie } = await import('../bookie-run.ts')
      await runBookie(flags)
    })
}
