import { Option, type Command } from 'commander'
import type { ClusterFlags } from '../cluster.ts'
import type { RecoverFlags } from '../ledger-recover.ts'
import type { ListFlags, ReadFlags } from '../ledger-view.ts'
import { clusterCommand, examples, wholeNumber } from '../options.ts'

const METADATA = '--metadata etcd:http://localhost:2379'

export function addLedgers(program: Command): void {
  const ledgers = program
    .command('ledgers')
    .description('List, inspect, read, verify and recover ledgers.')
    .addHelpText(
      'after',
      examples(
        `strata ledgers list ${METADATA} --state open`,
        `strata ledgers verify 17 ${METADATA}`,
        `strata ledgers why 17 ${METADATA}`
      )
    )
  addLooking(ledgers)
  addReading(ledgers)
}

function withLedger(ledgers: Command, name: string, description: string): Command {
  return clusterCommand(ledgers, name, description)
    .argument('<ledger>', 'id of the ledger', wholeNumber(0))
    .addHelpText('after', examples(`strata ledgers ${name} 17 ${METADATA}`))
}

function addLooking(ledgers: Command): void {
  clusterCommand(ledgers, 'list', 'List every ledger, one a line.')
    .addOption(new Option('--state <state>', 'these alone').choices(['open', 'in-recovery', 'closed']))
    .option('--owner <text>', 'those whose owner has this in its name, such as a topic')
    .option('--bookie <node>', 'those that name this storage node')
    .addHelpText('after', examples(`strata ledgers list ${METADATA} --owner orders`))
    .action(async (flags: ListFlags) => {
      const { listLedgers } = await import('../ledger-view.ts')
      await listLedgers(flags)
    })
  withLedger(ledgers, 'describe', 'State, owner, and which nodes hold which entries.').action(
    async (id: number, flags: ClusterFlags) => {
      const { describeLedger } = await import('../ledger-view.ts')
      await describeLedger(id, flags)
    }
  )
  withLedger(ledgers, 'why', 'Why a ledger is still kept. Looks only.').action(
    async (id: number, flags: ClusterFlags) => {
      const { whyLedger } = await import('../ledger-why.ts')
      await whyLedger(id, flags)
    }
  )
}

function addReading(ledgers: Command): void {
  withLedger(ledgers, 'read', 'Print the entries of a ledger, as far as they are confirmed.')
    .option('--from <entry>', 'the first one', wholeNumber(0), 0)
    .option('--to <entry>', 'the last one', wholeNumber(0))
    .option('--raw', 'the bytes of the entries and nothing else')
    .action(async (id: number, flags: ReadFlags) => {
      const { readLedger } = await import('../ledger-view.ts')
      await readLedger(id, flags)
    })
  withLedger(ledgers, 'verify', 'Read every copy of every entry from the node that must have it.').action(
    async (id: number, flags: ClusterFlags) => {
      const { verifyLedger } = await import('../ledger-check.ts')
      await verifyLedger(id, flags)
    }
  )
  withLedger(ledgers, 'recover', 'Take a ledger over from whoever writes it, and close it.')
    .option(
      '--accept-loss',
      'close it where that is impossible since nodes are declared destroyed; what is lost is recorded'
    )
    .action(async (id: number, flags: RecoverFlags) => {
      const { recoverLedger } = await import('../ledger-recover.ts')
      await recoverLedger(id, flags)
    })
}
