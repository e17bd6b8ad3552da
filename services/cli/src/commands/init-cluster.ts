import { Option, type Command } from 'commander'
import type { InitFlags } from '../init-cluster.ts'
import { examples } from '../options.ts'

export function addInitCluster(program: Command): void {
  program
    .command('init-cluster')
    .description('Prepare the metadata of a new cluster, before its first node starts. Repeating it changes nothing.')
    .requiredOption('--cluster <name>', 'what the cluster is called: clusterName of its brokers')
    .addOption(
      new Option('--metadata <url>', 'where the metadata is: etcd:http://host:2379/prefix').makeOptionMandatory()
    )
    .option('--metadata-config <file>', 'certificates, user and password for etcd, as metadataStoreConfigPath')
    .option('--web-service-url <url>', 'how other clusters reach its HTTP')
    .option('--web-service-url-tls <url>', 'the same with TLS')
    .option('--broker-service-url <url>', 'how other clusters reach its brokers')
    .option('--broker-service-url-tls <url>', 'the same with TLS')
    .option('--json', 'one JSON object')
    .addHelpText('after', examples('strata init-cluster --cluster east --metadata etcd:http://localhost:2379'))
    .action(async (flags: InitFlags) => {
      const { runInitCluster } = await import('../init-cluster.ts')
      await runInitCluster(flags)
    })
}
