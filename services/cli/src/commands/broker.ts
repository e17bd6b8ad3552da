import type { Command } from 'commander'
import type { BrokerFlags } from '../broker-run.ts'
import { collect, examples } from '../options.ts'

export function addBroker(program: Command): void {
  program
    .command('broker')
    .description('Run the broker of a cluster in this process, over its storage nodes.')
    .option('--conf <file>', "settings in Apache Pulsar's .conf format")
    .option('--set <key=value>', 'one setting; may be repeated; stronger than file and environment', collect, [])
    .option('--lenient', 'warn of settings that Strata does not have, instead of refusing them')
    .option('--json', 'one JSON line when ready, and JSON logs')
    .addHelpText(
      'after',
      examples(
        'strata broker --set metadataStoreUrl=etcd:http://localhost:2379',
        'strata broker --conf broker.conf --set managedLedgerDefaultEnsembleSize=3 --set managedLedgerDefaultWriteQuorum=3'
      )
    )
    .action(async (flags: BrokerFlags) => {
      const { runBroker } = await import('../broker-run.ts')
      await runBroker(flags)
    })
}
