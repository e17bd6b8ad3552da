import { describeSettings } from '@strata/base'
import { standaloneSettings } from '@strata/standalone'
import type { Command } from 'commander'

export function addConfig(program: Command): void {
  const config = program.command('config').description('What can be set, and what it means.')
  config
    .command('describe')
    .description('Print every setting: type, unit, default, bounds, whether it changes at run time, meaning.')
    .option('--json', 'as JSON')
    .action((flags: { json?: boolean }) => {
      const printed =
        flags.json === true ? `${JSON.stringify(standaloneSettings, null, 2)}\n` : describeSettings(standaloneSettings)
      process.stdout.write(printed)
    })
}
