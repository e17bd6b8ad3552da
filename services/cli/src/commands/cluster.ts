import { InvalidArgumentError, Option, type Command } from 'commander'
import type { ApplyFlags } from '../cluster-apply.ts'
import type { DumpFlags } from '../cluster-dump.ts'
import { addDestroying, adminCommand, adminUrlOption, examples, tokenFileOption, tokenOption } from '../options.ts'

const SECTIONS = ['clusters', 'resourceGroups', 'brokers', 'tenants', 'namespaces', 'topics'] as const

export function addCluster(program: Command): void {
  const cluster = program
    .command('cluster')
    .description('All metadata of a cluster as text: write it down, compare it, make a cluster what it says.')
    .addHelpText(
      'after',
      examples(
        'strata cluster dump --out cluster.yaml',
        'strata cluster dump --admin-url http://pulsar.example:8080 > pulsar.yaml',
        'strata cluster apply cluster.yaml --prune --dry-run'
      )
    )
  addDump(cluster)
  addApply(cluster)
}

function addDump(cluster: Command): void {
  cluster
    .command('dump')
    .description('Write tenants, namespaces, policies, topics, subscriptions, schemas, grants and clusters as YAML.')
    .addOption(adminUrlOption())
    .addOption(tokenOption())
    .addOption(tokenFileOption())
    .option('--out <file>', 'standard output unless given')
    .addOption(onlyOption())
    .addHelpText('after', examples('strata cluster dump --out cluster.yaml', 'strata cluster dump --only topics'))
    .action(async (flags: DumpFlags) => {
      const { dumpCluster } = await import('../cluster-dump.ts')
      await dumpCluster(flags)
    })
}

function addApply(cluster: Command): void {
  const apply = adminCommand(
    cluster,
    'apply',
    'Make a cluster what a file says: plan, then do it. Also an empty cluster.'
  )
  addDestroying(apply)
    .alias('restore')
    .argument('<file>', 'as `strata cluster dump` writes it; - for standard input')
    .option('--prune', 'delete what is not in the file, in the sections that it has')
    .addOption(onlyOption())
    .addOption(
      new Option('--subscriptions-from <where>', 'where subscriptions begin that are made')
        .choices(['earliest', 'latest'])
        .default('earliest')
    )
    .addHelpText(
      'after',
      examples('strata cluster apply cluster.yaml --dry-run', 'strata cluster apply cluster.yaml --prune --yes')
    )
    .action(async (file: string, flags: ApplyFlags) => {
      const { applyCluster } = await import('../cluster-apply.ts')
      await applyCluster(file, flags)
    })
}

/** Takes one at a time: what follows it is the file. */
function onlyOption(): Option {
  const option = new Option('--only <section>', 'this section alone; may be repeated').choices(SECTIONS)
  return option.argParser((section: string, previous: readonly string[] | undefined) => {
    if (SECTIONS.some(each => each === section)) return [...(previous ?? []), section]
    throw new InvalidArgumentError(`Allowed choices are ${SECTIONS.join(', ')}.`)
  })
}
