import type { Command } from 'commander'
import { examples } from '../options.ts'
import { print } from '../output.ts'

export function addConfig(program: Command): void {
  const config = program.command('config').description('What can be set, and what it means.')
  config
    .command('describe')
    .description('Print every setting: type, unit, default, bounds, whether it changes at run time, meaning.')
    .option('--json', 'one JSON object for each setting')
    .addHelpText('after', examples('strata config describe', 'strata config describe --json'))
    .action(async (flags: { json?: boolean }) => {
      const { describeSettings } = await import('@strata/base')
      const { standaloneSettings } = await import('@strata/standalone')
      if (flags.json !== true) return await print(describeSettings(standaloneSettings))
      const lines = Object.entries(standaloneSettings).map(([key, setting]) => JSON.stringify({ key, ...setting }))
      await print(`${lines.join('\n')}\n`)
    })
}
