import { Argument, type Command } from 'commander'
import { examples } from '../options.ts'
import { print } from '../output.ts'

const SERVERS = ['standalone', 'broker', 'bookie', 'proxy'] as const
type Server = (typeof SERVERS)[number]

export function addConfig(program: Command): void {
  const config = program.command('config').description('What can be set, and what it means.')
  config
    .command('describe')
    .description('Print every setting: type, unit, default, bounds, whether it changes at run time, meaning.')
    .addArgument(new Argument('[server]', 'whose settings').choices(SERVERS).default('standalone'))
    .option('--json', 'one JSON object for each setting')
    .addHelpText(
      'after',
      examples('strata config describe', 'strata config describe broker', 'strata config describe --json')
    )
    .action(async (server: Server, flags: { json?: boolean }) => {
      const { describeSettings } = await import('@strata/base')
      const table = await tableOf(server)
      if (flags.json !== true) return await print(describeSettings(table))
      const lines = Object.entries(table).map(([key, setting]) => JSON.stringify({ key, ...setting }))
      await print(`${lines.join('\n')}\n`)
    })
}

async function tableOf(server: Server) {
  if (server === 'standalone') return (await import('@strata/standalone')).standaloneSettings
  if (server === 'broker') return (await import('@strata/broker')).clusterBrokerSettings
  if (server === 'proxy') return (await import('@strata/proxy')).proxySettings
  return (await import('@strata/bookie/server')).bookieSettings
}
