import { Option, type Command } from 'commander'
import { collect, examples } from '../options.ts'
import type { StandaloneFlags } from '../standalone-run.ts'

export function addStandalone(program: Command): void {
  program
    .command('standalone')
    .description('Run a durable Strata in this process: broker, storage and metadata in one directory.')
    .addOption(new Option('--data <dir>', 'where everything is kept').default('data').env('STRATA_DATA'))
    .option('--conf <file>', "settings in Apache Pulsar's .conf format")
    .option('--set <key=value>', 'one setting; may be repeated; stronger than file and environment', collect, [])
    .option('--lenient', 'warn of settings that Strata does not have, instead of refusing them')
    .option('--json', 'one JSON line when ready, and JSON logs')
    .addHelpText(
      'after',
      examples(
        'strata standalone',
        'strata standalone --data /var/lib/strata --set brokerServicePort=6651',
        'strata standalone --conf standalone.conf --lenient'
      )
    )
    .action(async (flags: StandaloneFlags) => {
      const { runStandalone } = await import('../standalone-run.ts')
      await runStandalone(flags)
    })
}
