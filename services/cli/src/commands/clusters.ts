import type { Command } from 'commander'
import type { AdminFlags } from '../admin.ts'
import type { ClusterInfoFlags } from '../clusters-admin.ts'
import type { DestroyFlags } from '../destruction.ts'
import { addDestroying, adminCommand, examples } from '../options.ts'

export function addClusters(program: Command): void {
  const clusters = program
    .command('clusters')
    .description('List, make known, change and forget clusters.')
    .addHelpText('after', examples('strata clusters list', 'strata clusters describe standalone'))
  subcommand(clusters, 'list', 'List the clusters that are known, with their addresses.', 'list').action(
    async (flags: AdminFlags) => {
      const { listClusters } = await import('../clusters-admin.ts')
      await listClusters(flags)
    }
  )
  subcommand(clusters, 'describe', 'Addresses, failure domains and isolation policies.', 'describe standalone')
    .argument('<cluster>')
    .action(async (cluster: string, flags: AdminFlags) => {
      const { describeCluster } = await import('../clusters-admin.ts')
      await describeCluster(cluster, flags)
    })
  addChanging(clusters)
}

function addChanging(clusters: Command): void {
  const address = '--service-url http://west:8080 --broker-service-url pulsar://west:6650'
  withAddresses(subcommand(clusters, 'create', 'Make a cluster known.', `create west ${address}`))
    .argument('<cluster>')
    .action(async (cluster: string, flags: ClusterInfoFlags) => {
      const { createCluster } = await import('../clusters-admin.ts')
      await createCluster(cluster, flags)
    })
  withAddresses(subcommand(clusters, 'update', 'Change addresses; those not given stay.', `update west ${address}`))
    .argument('<cluster>')
    .action(async (cluster: string, flags: ClusterInfoFlags) => {
      const { updateCluster } = await import('../clusters-admin.ts')
      await updateCluster(cluster, flags)
    })
  addDestroying(subcommand(clusters, 'delete', 'Forget a cluster.', 'delete west'))
    .argument('<cluster>')
    .action(async (cluster: string, flags: AdminFlags & DestroyFlags) => {
      const { deleteCluster } = await import('../clusters-admin.ts')
      await deleteCluster(cluster, flags)
    })
}

function withAddresses(command: Command): Command {
  return command
    .option('--service-url <url>', 'HTTP, such as http://west:8080')
    .option('--service-url-tls <url>', 'HTTPS, such as https://west:8443')
    .option('--broker-service-url <url>', 'of clients, such as pulsar://west:6650')
    .option('--broker-service-url-tls <url>', 'of clients by TLS, such as pulsar+ssl://west:6651')
}

function subcommand(clusters: Command, usage: string, description: string, example: string): Command {
  return adminCommand(clusters, usage, description).addHelpText('after', examples(`strata clusters ${example}`))
}
