import type { Command } from 'commander'
import type { AdminFlags } from '../admin.ts'
import { adminCommand, examples } from '../options.ts'

export function addBrokers(program: Command): void {
  const brokers = program
    .command('brokers')
    .description('List brokers, see what they serve, and change their settings while they run.')
    .addHelpText(
      'after',
      examples('strata brokers list', 'strata brokers health', 'strata brokers set dispatchThrottlingRateInMsg 1000')
    )
  addLooking(brokers)
  addSettings(brokers)
}

function subcommand(brokers: Command, usage: string, description: string, example: string): Command {
  return adminCommand(brokers, usage, description).addHelpText('after', examples(`strata brokers ${example}`))
}

function addLooking(brokers: Command): void {
  subcommand(brokers, 'list', 'List the brokers that run, and which of them leads.', 'list').action(
    async (flags: AdminFlags) => {
      const { listBrokers } = await import('../broker-admin.ts')
      await listBrokers(flags)
    }
  )
  subcommand(brokers, 'health', 'Pass a message through the broker at --admin-url; ends with 1 if it fails.', 'health')
    // nothing but its exit code may be wanted
    .action(async (flags: AdminFlags) => {
      const { brokerHealth } = await import('../broker-admin.ts')
      await brokerHealth(flags)
    })
  subcommand(brokers, 'owned', 'List the bundles that a broker serves.', 'owned broker-1:8080')
    .argument('<broker>', 'as `strata brokers list` shows it')
    .action(async (broker: string, flags: AdminFlags) => {
      const { ownedNamespaces } = await import('../broker-admin.ts')
      await ownedNamespaces(broker, flags)
    })
}

function addSettings(brokers: Command): void {
  subcommand(brokers, 'settings', 'List settings that can change while brokers run, and those that did.', 'settings')
    // of all brokers together
    .action(async (flags: AdminFlags) => {
      const { listSettings } = await import('../broker-admin.ts')
      await listSettings(flags)
    })
  subcommand(brokers, 'set', 'Change a setting of all brokers.', 'set dispatchThrottlingRateInMsg 1000')
    .argument('<setting>', 'as `strata brokers settings` shows it')
    .argument('<value>')
    .action(async (name: string, value: string, flags: AdminFlags) => {
      const { setSetting } = await import('../broker-admin.ts')
      await setSetting({ name, value }, flags)
    })
  subcommand(brokers, 'unset', "Leave a setting to each broker's own file.", 'unset dispatchThrottlingRateInMsg')
    .argument('<setting>')
    .action(async (name: string, flags: AdminFlags) => {
      const { unsetSetting } = await import('../broker-admin.ts')
      await unsetSetting(name, flags)
    })
}
