import { InvalidArgumentError, Option, type Command } from 'commander'
import type { AdminFlags } from '../admin.ts'
import { adminCommand, examples } from '../options.ts'
import type { GrantFlags, ScopeFlags } from '../permission-admin.ts'

const WHERE = 'tenant/namespace; or a topic: name, tenant/namespace/name or persistent://tenant/namespace/name'
const ACTIONS = ['produce', 'consume', 'functions', 'sources', 'sinks', 'packages'] as const

export function addPermissions(program: Command): void {
  const permissions = program
    .command('permissions')
    .description('List, grant and revoke what roles may do in namespaces, topics and subscriptions.')
    .addHelpText(
      'after',
      examples(
        'strata permissions list acme/orders',
        'strata permissions grant acme/orders billing --action consume',
        'strata permissions revoke acme/orders billing'
      )
    )
  subcommand(permissions, 'list', 'List who may do what.', 'list acme/orders')
    .argument('<where>', WHERE)
    .action(async (where: string, flags: AdminFlags) => {
      const { listPermissions } = await import('../permission-admin.ts')
      await listPermissions(where, flags)
    })
  subcommand(
    permissions,
    'grant',
    'Let a role do something.',
    'grant acme/orders shop --action produce --action consume'
  )
    .argument('<where>', WHERE)
    .argument('<role>')
    .addOption(actionOption())
    .option('--subscription <name>', 'of a namespace: let the role use it, and others no more')
    .action(async (where: string, role: string, flags: GrantFlags) => {
      const { grantPermission } = await import('../permission-admin.ts')
      await grantPermission({ where, role }, flags)
    })
  subcommand(
    permissions,
    'revoke',
    'Take back what a role was granted; its clients are closed.',
    'revoke acme/orders shop'
  )
    .argument('<where>', WHERE)
    .argument('<role>')
    .option('--subscription <name>', 'of a namespace: take back that the role may use it')
    .action(async (where: string, role: string, flags: ScopeFlags) => {
      const { revokePermission } = await import('../permission-admin.ts')
      await revokePermission({ where, role }, flags)
    })
}

function subcommand(permissions: Command, usage: string, description: string, example: string): Command {
  return adminCommand(permissions, usage, description).addHelpText('after', examples(`strata permissions ${example}`))
}

function actionOption(): Option {
  const option = new Option('--action <name>', 'what it may do; may be repeated').choices(ACTIONS)
  return option.argParser((action: string, previous: readonly string[] | undefined) => {
    if (ACTIONS.some(each => each === action)) return [...(previous ?? []), action]
    throw new InvalidArgumentError(`Allowed choices are ${ACTIONS.join(', ')}.`)
  })
}
