import type { Command } from 'commander'
import type { AdminFlags } from '../admin.ts'
import type { CheckFlags } from '../policy-check.ts'
import { adminCommand, examples } from '../options.ts'
import type { GetFlags, ReachFlags, RemoveFlags } from '../policy-admin.ts'

const WHERE = 'tenant/namespace; or a topic: name, tenant/namespace/name or persistent://tenant/namespace/name'
const GLOBAL = 'of a topic: what holds in all of its clusters'

export function addPolicies(program: Command): void {
  const policies = program
    .command('policies')
    .description('Read, set and remove every policy of namespaces and topics.')
    .addHelpText(
      'after',
      examples(
        'strata policies names',
        'strata policies get public/default',
        'strata policies set public/default retention retentionTimeInMinutes=60 retentionSizeInMB=-1',
        'strata policies get orders messageTTL --applied',
        'strata policies remove orders messageTTL'
      )
    )
  subcommand(policies, 'names', 'List the names of all policies, with where each can be set.', 'names')
    // it asks no server
    .action(async (flags: AdminFlags) => {
      const { listPolicyNames } = await import('../policy-admin.ts')
      await listPolicyNames(flags)
    })
  subcommand(
    policies,
    'check',
    'List what is kept but does not act, and where it is set.',
    'check',
    'check --subscriptions --json'
  )
    .option('--subscriptions', 'look at the subscriptions of every topic too; a broker loads the topics for it')
    .action(async (flags: CheckFlags) => {
      const { checkPolicies } = await import('../policy-check.ts')
      await checkPolicies(flags)
    })
  addReading(policies)
  addWriting(policies)
}

function subcommand(policies: Command, usage: string, description: string, ...lines: readonly string[]): Command {
  return adminCommand(policies, usage, description).addHelpText(
    'after',
    examples(...lines.map(line => `strata policies ${line}`))
  )
}

function addReading(policies: Command): void {
  const lines = ['get public/default', 'get orders retention --applied']
  subcommand(policies, 'get', 'Print a policy, or all that are set; see `strata policies names`.', ...lines)
    .argument('<where>', WHERE)
    .argument('[policy]', 'all that are set unless given')
    .option('--applied', 'of a topic: what holds, whoever set it: topic, namespace or broker')
    .option('--global', GLOBAL)
    .action(async (where: string, policy: string | undefined, flags: GetFlags) => {
      const { getPolicies } = await import('../policy-admin.ts')
      await getPolicies(where, policy, flags)
    })
}

function addWriting(policies: Command): void {
  const lines = [
    'set public/default messageTTL 3600',
    'set orders retention retentionTimeInMinutes=60 retentionSizeInMB=-1',
    `set orders subscriptionTypesEnabled '["Shared"]'`
  ]
  subcommand(policies, 'set', 'Set a policy.', ...lines)
    .argument('<where>', WHERE)
    .argument('<policy>')
    .argument('<value...>', 'JSON, a text, or key=value words for an object')
    .option('--global', GLOBAL)
    .action(async (where: string, name: string, values: readonly string[], flags: ReachFlags) => {
      const { setPolicy } = await import('../policy-admin.ts')
      await setPolicy({ where, name }, values, flags)
    })
  subcommand(
    policies,
    'remove',
    'Leave a policy to the level above: namespace, then broker.',
    'remove orders retention'
  )
    .argument('<where>', WHERE)
    .argument('[policy]')
    .option('--all', 'every policy that is set there')
    .option('--global', GLOBAL)
    .action(async (where: string, policy: string | undefined, flags: RemoveFlags) => {
      const { removePolicy } = await import('../policy-admin.ts')
      await removePolicy(where, policy, flags)
    })
}
