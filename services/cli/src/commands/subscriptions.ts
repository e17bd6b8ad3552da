import type { Command } from 'commander'
import type { AdminFlags } from '../admin.ts'
import { addDestroying, adminCommand, duration, examples, property, wholeNumber } from '../options.ts'
import { POSITION_FORMS, positionArgument } from '../start-position.ts'
import * as admin from '../subscription-admin.ts'

export function addSubscriptions(program: Command): void {
  const subscriptions = program
    .command('subscriptions')
    .description('List, make, move and delete the subscriptions of a topic.')
    .addHelpText(
      'after',
      examples(
        'strata subscriptions list orders',
        'strata subscriptions create orders billing --from earliest',
        'strata subscriptions seek orders billing --to 2h',
        'strata subscriptions clear orders billing'
      )
    )
  addMaking(subscriptions)
  addLooking(subscriptions)
  addMoving(subscriptions)
}

function subcommand(subscriptions: Command, usage: string, description: string, example: string): Command {
  return adminCommand(subscriptions, usage, description)
    .argument('<topic>', 'name, tenant/namespace/name or persistent://tenant/namespace/name')
    .addHelpText('after', examples(`strata subscriptions ${example}`))
}

function addMaking(subscriptions: Command): void {
  subcommand(subscriptions, 'create', 'Make a subscription.', 'create orders billing --from earliest')
    .argument('<subscription>')
    .option('--from <where>', POSITION_FORMS, positionArgument, { kind: 'latest' })
    .option('--property <key=value>', 'kept with the subscription; may be repeated', property, {})
    .action((topic: string, name: string, flags: admin.CreateFlags) => admin.createSubscription({ topic, name }, flags))
  addDestroying(subcommand(subscriptions, 'delete', 'Delete a subscription.', 'delete orders billing --dry-run'))
    .argument('<subscription>')
    .option('--force', 'even while consumers are connected to it')
    .action((topic: string, name: string, flags: admin.DeleteFlags) => admin.deleteSubscription({ topic, name }, flags))
}

function addLooking(subscriptions: Command): void {
  subcommand(subscriptions, 'list', 'List the subscriptions of a topic.', 'list orders').action(
    (topic: string, flags: AdminFlags) => admin.listSubscriptions(topic, flags)
  )
  subcommand(subscriptions, 'stats', 'Backlog, consumers and rates of subscriptions.', 'stats orders billing --json')
    .argument('[subscription]', 'all of the topic unless given')
    .action((topic: string, name: string | undefined, flags: AdminFlags) =>
      admin.subscriptionStats({ topic, name }, flags)
    )
}

function addMoving(subscriptions: Command): void {
  subcommand(
    subscriptions,
    'skip',
    'Acknowledge the next messages of a subscription.',
    'skip orders billing --count 10'
  )
    .argument('<subscription>')
    .requiredOption('--count <n>', 'how many', wholeNumber(1))
    .action((topic: string, name: string, flags: admin.SkipFlags) => admin.skipMessages({ topic, name }, flags))
  const clear = 'Acknowledge everything a subscription has before it.'
  addDestroying(subcommand(subscriptions, 'clear', clear, 'clear orders billing'))
    .argument('<subscription>')
    .action((topic: string, name: string, flags: admin.ClearFlags) => admin.clearBacklog({ topic, name }, flags))
  subcommand(subscriptions, 'expire', 'Acknowledge what is older than a time.', 'expire orders billing --older-than 1d')
    .argument('<subscription>')
    .requiredOption('--older-than <time>', 'such as 90s, 10m, 2h, 1d', duration)
    .action((topic: string, name: string, flags: admin.ExpireFlags) => admin.expireMessages({ topic, name }, flags))
  subcommand(subscriptions, 'seek', 'Move a subscription back or forth.', 'seek orders billing --to earliest')
    .argument('<subscription>')
    .requiredOption('--to <where>', POSITION_FORMS, positionArgument)
    .action((topic: string, name: string, flags: admin.SeekFlags) => admin.seekSubscription({ topic, name }, flags))
}
