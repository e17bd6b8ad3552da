import type { Command } from 'commander'
import type { AdminFlags } from '../admin.ts'
import { addDestroying, adminCommand, examples, property, wholeNumber } from '../options.ts'
import * as admin from '../topic-admin.ts'
import { whyTopic } from '../topic-why.ts'

const TOPIC = 'name, tenant/namespace/name or persistent://tenant/namespace/name'

export function addTopics(program: Command): void {
  const topics = program
    .command('topics')
    .description('List, make, inspect and delete topics.')
    .addHelpText(
      'after',
      examples(
        'strata topics list public/default',
        'strata topics create orders --partitions 4',
        'strata topics stats orders --json',
        'strata topics partitions orders --set 8',
        'strata topics delete orders --force'
      )
    )
  addMaking(topics)
  addLooking(topics)
  addChanging(topics)
}

/** What every command of the group takes, and an example of its own. */
function subcommand(topics: Command, usage: string, description: string, example: string): Command {
  return adminCommand(topics, usage, description).addHelpText('after', examples(`strata topics ${example}`))
}

function addMaking(topics: Command): void {
  subcommand(topics, 'create', 'Make a topic.', 'create orders --partitions 4 --property owner=shop')
    .argument('<topic>', TOPIC)
    .option('--partitions <n>', 'make it partitioned', wholeNumber(1))
    .option('--property <key=value>', 'kept with the topic; may be repeated', property, {})
    .action((topic: string, flags: admin.CreateFlags) => admin.createTopic(topic, flags))
  addDestroying(
    subcommand(topics, 'delete', 'Delete a topic with its messages and subscriptions.', 'delete orders --dry-run')
  )
    .argument('<topic>', TOPIC)
    .option('--force', 'even while clients are connected to it')
    .action((topic: string, flags: admin.DeleteFlags) => admin.deleteTopic(topic, flags))
}

function addLooking(topics: Command): void {
  subcommand(topics, 'list', 'List the topics of a namespace; partitions are listed one by one.', 'list public/default')
    .argument('[namespace]', 'tenant/namespace', 'public/default')
    .option('--partitioned', 'partitioned topics alone, each once')
    .action((namespace: string, flags: admin.ListFlags) => admin.listTopics(namespace, flags))
  subcommand(topics, 'stats', 'Rates, sizes, producers and subscriptions of a topic.', 'stats orders --json')
    .argument('<topic>', TOPIC)
    .option('--internal', 'ledgers and cursors, as JSON')
    .action((topic: string, flags: admin.StatsFlags) => admin.topicStats(topic, flags))
  subcommand(topics, 'why', 'Say where a topic is served and why, or why it is not served.', 'why orders')
    .argument('<topic>', TOPIC)
    .action((topic: string, flags: AdminFlags) => whyTopic(topic, flags))
  subcommand(topics, 'last-message-id', 'Where the last message of a topic is.', 'last-message-id orders')
    .argument('<topic>', TOPIC)
    .action((topic: string, flags: AdminFlags) => admin.lastMessageId(topic, flags))
}

function addChanging(topics: Command): void {
  subcommand(
    topics,
    'partitions',
    'Print how many partitions a topic has, or give it more.',
    'partitions orders --set 8'
  )
    .argument('<topic>', TOPIC)
    .option('--set <n>', 'as many as it shall have; never fewer than it has', wholeNumber(1))
    .action((topic: string, flags: admin.PartitionFlags) => admin.partitions(topic, flags))
  subcommand(topics, 'unload', 'Close a topic; its clients come back at once.', 'unload orders')
    .argument('<topic>', TOPIC)
    .action((topic: string, flags: AdminFlags) => admin.unloadTopic(topic, flags))
  subcommand(topics, 'terminate', 'Let nothing more be published to a topic, for good.', 'terminate orders')
    .argument('<topic>', TOPIC)
    .action((topic: string, flags: AdminFlags) => admin.terminateTopic(topic, flags))
  const truncate = 'Skip what is in all subscriptions of a topic and delete it.'
  addDestroying(subcommand(topics, 'truncate', truncate, 'truncate orders'))
    .argument('<topic>', TOPIC)
    .action((topic: string, flags: admin.TruncateFlags) => admin.truncateTopic(topic, flags))
}
