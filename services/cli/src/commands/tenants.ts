import type { Command } from 'commander'
import type { AdminFlags } from '../admin.ts'
import { addDestroying, adminCommand, collect, examples } from '../options.ts'
import type { DeleteTenantFlags, TenantFlags } from '../tenant-admin.ts'

export function addTenants(program: Command): void {
  const tenants = program
    .command('tenants')
    .description('List, make, change and delete tenants.')
    .addHelpText(
      'after',
      examples(
        'strata tenants list',
        'strata tenants create acme --admin-role acme-admin',
        'strata tenants delete acme --dry-run'
      )
    )
  addLooking(tenants)
  addChanging(tenants)
}

function subcommand(tenants: Command, usage: string, description: string, example: string): Command {
  return adminCommand(tenants, usage, description).addHelpText('after', examples(`strata tenants ${example}`))
}

function addLooking(tenants: Command): void {
  subcommand(tenants, 'list', 'List all tenants, with their administrators and clusters.', 'list').action(
    async (flags: AdminFlags) => {
      const { listTenants } = await import('../tenant-admin.ts')
      await listTenants(flags)
    }
  )
  subcommand(tenants, 'describe', 'Administrators, clusters and namespaces of a tenant.', 'describe acme')
    .argument('<tenant>')
    .action(async (tenant: string, flags: AdminFlags) => {
      const { describeTenant } = await import('../tenant-admin.ts')
      await describeTenant(tenant, flags)
    })
  subcommand(
    tenants,
    'usage',
    'Storage, rates, age of the backlog and what a tenant takes most of, over all brokers.',
    'usage acme --json'
  )
    .argument('[tenants...]', 'all of them unless named')
    .action(async (names: readonly string[], flags: AdminFlags) => {
      const { tenantUsage } = await import('../tenant-usage.ts')
      await tenantUsage(names, flags)
    })
}

function addChanging(tenants: Command): void {
  withInfo(subcommand(tenants, 'create', 'Make a tenant.', 'create acme --admin-role acme-admin'))
    .argument('<tenant>')
    .action(async (tenant: string, flags: TenantFlags) => {
      const { createTenant } = await import('../tenant-admin.ts')
      await createTenant(tenant, flags)
    })
  withInfo(
    subcommand(
      tenants,
      'update',
      'Change who administers a tenant, or its clusters; what is not given stays.',
      'update acme --admin-role acme-admin --admin-role acme-ops'
    )
  )
    .argument('<tenant>')
    .action(async (tenant: string, flags: TenantFlags) => {
      const { updateTenant } = await import('../tenant-admin.ts')
      await updateTenant(tenant, flags)
    })
  addDestroying(subcommand(tenants, 'delete', 'Delete a tenant.', 'delete acme --force --dry-run'))
    .argument('<tenant>')
    .option('--force', 'with its namespaces and topics, and all their messages; brokers must allow it')
    .action(async (tenant: string, flags: DeleteTenantFlags) => {
      const { deleteTenant } = await import('../tenant-admin.ts')
      await deleteTenant(tenant, flags)
    })
}

function withInfo(command: Command): Command {
  return command
    .option('--admin-role <role>', 'who administers it; may be repeated', collect)
    .option('--cluster <name>', 'where its namespaces may be; may be repeated; all clusters unless given', collect)
}
