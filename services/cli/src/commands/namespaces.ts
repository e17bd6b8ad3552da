import type { Command } from 'commander'
import type { AdminFlags } from '../admin.ts'
import type { ClearFlags, CreateFlags, DeleteFlags } from '../namespace-admin.ts'
import type { QuotaFlags } from '../quota-admin.ts'
import { addDestroying, adminCommand, collect, examples, wholeNumber } from '../options.ts'

const NAMESPACE = 'tenant/namespace'

export function addNamespaces(program: Command): void {
  const namespaces = program
    .command('namespaces')
    .description('List, make, inspect and delete namespaces, and look after their bundles.')
    .addHelpText(
      'after',
      examples('strata namespaces list acme', 'strata namespaces create acme/orders', 'strata policies get acme/orders')
    )
  addLooking(namespaces)
  addChanging(namespaces)
  addBundles(namespaces)
}

function subcommand(namespaces: Command, usage: string, description: string, example: string): Command {
  return adminCommand(namespaces, usage, description).addHelpText('after', examples(`strata namespaces ${example}`))
}

function addLooking(namespaces: Command): void {
  subcommand(namespaces, 'list', 'List the namespaces of a tenant.', 'list acme')
    .argument('<tenant>')
    .action(async (tenant: string, flags: AdminFlags) => {
      const { listNamespaces } = await import('../namespace-admin.ts')
      await listNamespaces(tenant, flags)
    })
  subcommand(namespaces, 'describe', 'Topics, bundles and clusters of a namespace.', 'describe acme/orders --json')
    .argument('<namespace>', NAMESPACE)
    .action(async (namespace: string, flags: AdminFlags) => {
      const { describeNamespace } = await import('../namespace-admin.ts')
      await describeNamespace(namespace, flags)
    })
}

function addChanging(namespaces: Command): void {
  subcommand(namespaces, 'create', 'Make a namespace.', 'create acme/orders --bundles 16')
    .argument('<namespace>', NAMESPACE)
    .option('--bundles <n>', 'parts that brokers share it out by; the default of brokers unless given', wholeNumber(1))
    .option('--cluster <name>', 'where its messages are; may be repeated', collect)
    .action(async (namespace: string, flags: CreateFlags) => {
      const { createNamespace } = await import('../namespace-admin.ts')
      await createNamespace(namespace, flags)
    })
  addDestroying(subcommand(namespaces, 'delete', 'Delete a namespace.', 'delete acme/orders --force --dry-run'))
    .argument('<namespace>', NAMESPACE)
    .option('--force', 'with its topics and all their messages; brokers must allow it')
    .action(async (namespace: string, flags: DeleteFlags) => {
      const { deleteNamespace } = await import('../namespace-admin.ts')
      await deleteNamespace(namespace, flags)
    })
  const clear = 'Acknowledge everything that subscriptions of a namespace have before them.'
  addDestroying(subcommand(namespaces, 'clear-backlog', clear, 'clear-backlog acme/orders --subscription billing'))
    .argument('<namespace>', NAMESPACE)
    .option('--subscription <name>', 'of this name alone')
    .action(async (namespace: string, flags: ClearFlags) => {
      const { clearNamespaceBacklog } = await import('../namespace-admin.ts')
      await clearNamespaceBacklog(namespace, flags)
    })
}

function addBundles(namespaces: Command): void {
  subcommand(namespaces, 'unload', 'Close all topics; their clients come back at once.', 'unload acme/orders')
    .argument('<namespace>', NAMESPACE)
    .action(async (namespace: string, flags: AdminFlags) => {
      const { unloadNamespace } = await import('../namespace-admin.ts')
      await unloadNamespace(namespace, flags)
    })
  subcommand(namespaces, 'bundles', 'List the parts that brokers share a namespace out by.', 'bundles acme/orders')
    .argument('<namespace>', NAMESPACE)
    .action(async (namespace: string, flags: AdminFlags) => {
      const { listBundles } = await import('../namespace-admin.ts')
      await listBundles(namespace, flags)
    })
  subcommand(namespaces, 'split', 'Divide one of these parts.', 'split acme/orders 0x00000000_0x40000000')
    .argument('<namespace>', NAMESPACE)
    .argument('<bundle>', 'as `strata namespaces bundles` shows it')
    .action(async (namespace: string, bundle: string, flags: AdminFlags) => {
      const { splitBundle } = await import('../namespace-admin.ts')
      await splitBundle(namespace, bundle, flags)
    })
  addQuota(namespaces)
}

function addQuota(namespaces: Command): void {
  const quota =
    'What balance expects of one of these parts, or of all that have no quota of their own; flags change it.'
  const amount = wholeNumber(0)
  subcommand(namespaces, 'quota', quota, 'quota acme/orders 0x00000000_0x40000000 --messages-in 5000')
    .argument('[namespace]', NAMESPACE)
    .argument('[bundle]', 'as `strata namespaces bundles` shows it')
    .option('--messages-in <n>', 'published a second', amount)
    .option('--messages-out <n>', 'delivered a second', amount)
    .option('--bytes-in <n>', 'published a second', amount)
    .option('--bytes-out <n>', 'delivered a second', amount)
    .option('--memory <mb>', 'MB that it takes', amount)
    .option('--dynamic', 'what is measured counts, as soon as there is any load')
    .option('--no-dynamic', 'this alone counts')
    .option('--reset', 'expect nothing in particular')
    .action(async (namespace: string | undefined, bundle: string | undefined, flags: QuotaFlags, command: Command) => {
      if (namespace !== undefined && bundle === undefined)
        command.error('error: of which bundle? see strata namespaces bundles')
      const { bundleQuota } = await import('../quota-admin.ts')
      await bundleQuota({ namespace, bundle }, flags)
    })
}
