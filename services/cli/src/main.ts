import { Command, CommanderError } from 'commander'
import { CommandFailure, EXIT, explain, isCoded } from './failure.ts'
import { shownTitle } from './process-title.ts'
import { VERSION } from './version.ts'

type AddCommand = (program: Command) => void

/** Each is loaded when it is named, so that starting a server does not wait for what it does not need. */
const COMMANDS: Readonly<Record<string, () => Promise<AddCommand>>> = {
  standalone: async () => (await import('./commands/standalone.ts')).addStandalone,
  broker: async () => (await import('./commands/broker.ts')).addBroker,
  'init-cluster': async () => (await import('./commands/init-cluster.ts')).addInitCluster,
  'dev-cluster': async () => (await import('./commands/dev-cluster.ts')).addDevCluster,
  bookie: async () => (await import('./commands/bookie.ts')).addBookie,
  proxy: async () => (await import('./commands/proxy.ts')).addProxy,
  produce: async () => (await import('./commands/produce.ts')).addProduce,
  consume: async () => (await import('./commands/consume.ts')).addConsume,
  read: async () => (await import('./commands/read.ts')).addRead,
  topics: async () => (await import('./commands/topics.ts')).addTopics,
  subscriptions: async () => (await import('./commands/subscriptions.ts')).addSubscriptions,
  tenants: async () => (await import('./commands/tenants.ts')).addTenants,
  namespaces: async () => (await import('./commands/namespaces.ts')).addNamespaces,
  permissions: async () => (await import('./commands/permissions.ts')).addPermissions,
  schemas: async () => (await import('./commands/schemas.ts')).addSchemas,
  brokers: async () => (await import('./commands/brokers.ts')).addBrokers,
  clusters: async () => (await import('./commands/clusters.ts')).addClusters,
  cluster: async () => (await import('./commands/cluster.ts')).addCluster,
  policies: async () => (await import('./commands/policies.ts')).addPolicies,
  bookies: async () => (await import('./commands/bookies.ts')).addBookies,
  ledgers: async () => (await import('./commands/ledgers.ts')).addLedgers,
  audit: async () => (await import('./commands/audit.ts')).addAudit,
  fsck: async () => (await import('./commands/fsck.ts')).addFsck,
  metadata: async () => (await import('./commands/metadata.ts')).addMetadata,
  'rolling-restart': async () => (await import('./commands/rolling-restart.ts')).addRollingRestart,
  upgrade: async () => (await import('./commands/upgrade.ts')).addUpgrade,
  perf: async () => (await import('./commands/perf.ts')).addPerf,
  config: async () => (await import('./commands/config.ts')).addConfig,
  completion: async () => (await import('./commands/completion.ts')).addCompletion
}

/** These look at the whole tree of commands. */
const NEEDS_ALL = new Set(['completion', 'help'])

const USAGE_CODES = new Set(['INVALID_OPTIONS', 'INVALID_SERVICE_URL', 'INVALID_TOPIC'])
const CONFIG_CODES = new Set(['BAD_SETTING', 'BAD_CONFIG_FILE', 'AUTH_SETTING_INVALID'])

/** Runs one command line and returns its exit code. Errors are one clear line each on standard error. */
export async function main(argv: readonly string[]): Promise<number> {
  const title = shownTitle(argv)
  if (title !== undefined) process.title = title
  // whoever reads our output may have seen enough, as `head` does
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? EXIT.done : EXIT.failed)
  })
  try {
    const program = await createProgram(argv[0])
    await program.parseAsync([...argv], { from: 'user' })
    return EXIT.done
  } catch (error) {
    return report(error)
  }
}

async function createProgram(named: string | undefined): Promise<Command> {
  const program = new Command('strata')
    .description("A messaging and streaming platform that speaks Apache Pulsar's protocols.")
    .version(VERSION)
    .exitOverride()
    .addHelpText('after', HELP)
  const only = named === undefined || NEEDS_ALL.has(named) ? undefined : COMMANDS[named]
  const wanted = only === undefined ? Object.values(COMMANDS) : [only]
  for (const load of wanted) (await load())(program)
  for (const command of withSubcommands(program)) {
    const advice = `see: strata${pathOf(command)} --help`
    command.configureOutput({ outputError: (text, write) => write(`strata: ${oneLine(text)}: ${advice}\n`) })
  }
  return program
}

const HELP = `
Examples:
  strata standalone
  strata produce my-topic --message hello
  strata consume my-topic --subscription first --earliest
  strata topics --help

Exit codes: 0 done, 1 failed, 2 less came than was asked for, 64 wrong usage, 78 wrong settings, 130 interrupted.`

function withSubcommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)]
}

function pathOf(command: Command): string {
  return command.parent === null ? '' : `${pathOf(command.parent)} ${command.name()}`
}

function oneLine(text: string): string {
  return text
    .replace(/^error: /, '')
    .trim()
    .replace(/\s*\n\s*/g, ' ')
    .replace(/\.$/, '')
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage
  for (const line of explain(error).split('\n')) process.stderr.write(`strata: ${line}\n`)
  if (error instanceof CommandFailure) return error.exitCode
  if (!isCoded(error)) return EXIT.failed
  if (USAGE_CODES.has(error.code)) return EXIT.usage
  return CONFIG_CODES.has(error.code) ? EXIT.settings : EXIT.failed
}
