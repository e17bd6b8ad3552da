import type { Command } from 'commander'
import type { FsckFlags } from '../fsck.ts'
import { clusterCommand, collect, examples } from '../options.ts'

const METADATA = '--metadata etcd:http://localhost:2379'

export function addFsck(program: Command): void {
  clusterCommand(program, 'fsck', 'Name every difference between the metadata and what storage nodes have.')
    .option('--verify', 'have nodes read every entry that they have')
    .option(
      '--rebuild <ledger>',
      'make the metadata of this closed ledger anew from nodes; may be repeated',
      collect,
      []
    )
    .option('--owner <text>', 'of what is rebuilt: who lists it, where no log does')
    .option(
      '--accept-store',
      'the store was set back or emptied: make anew what nodes have, and have nodes that set themselves aside take it'
    )
    .option('--force', 'accept it though some ledgers cannot be put right')
    .option('--recover-cluster-id [id]', 'the store was emptied: name its cluster again, as nodes say, or as given')
    .addHelpText(
      'after',
      examples(
        `strata fsck ${METADATA}`,
        `strata fsck --rebuild 17 ${METADATA}`,
        `strata fsck --recover-cluster-id ${METADATA}`,
        `strata fsck --accept-store ${METADATA}`
      )
    )
    .action(async (flags: FsckFlags) => {
      const { runFsck } = await import('../fsck.ts')
      await runFsck(flags)
    })
}
