import type { Command } from 'commander'
import { collect, examples } from '../options.ts'
import type { ProxyFlags } from '../proxy-run.ts'

export function addProxy(program: Command): void {
  program
    .command('proxy')
    .description('Run a proxy in this process, for clients that cannot reach brokers themselves.')
    .option('--conf <file>', "settings in the format of Apache Pulsar's proxy.conf")
    .option('--set <key=value>', 'one setting; may be repeated; stronger than file and environment', collect, [])
    .option('--lenient', 'warn of settings that Strata does not have, instead of refusing them')
    .option('--json', 'one JSON line when ready, and JSON logs')
    .addHelpText(
      'after',
      examples(
        'strata proxy --set metadataStoreUrl=etcd:http://localhost:2379 --set bindAddress=0.0.0.0',
        'strata proxy --set brokerServiceURL=pulsar://broker:6650 --set brokerWebServiceURL=http://broker:8080'
      )
    )
    .action(async (flags: ProxyFlags) => {
      const { runProxy } = await import('../proxy-run.ts')
      await runProxy(flags)
    })
}
