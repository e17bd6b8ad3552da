import type { Command } from 'commander'
import type { StoreFlags } from '../metadata-archive.ts'
import type { ExportFlags } from '../metadata-export.ts'
import { examples, wholeNumber } from '../options.ts'

const ETCD = 'etcd:http://localhost:2379'

export function addMetadata(program: Command): void {
  const metadata = program
    .command('metadata')
    .description('Back up, restore and move the metadata of a cluster.')
    .addHelpText('after', examples(`strata metadata backup --metadata ${ETCD} --out metadata.backup`))
  addBackups(metadata)
  metadata
    .command('export')
    .description("Move a standalone's metadata to etcd, so that it grows into a cluster. It must be stopped.")
    .requiredOption('--from <url>', 'level:directory, such as level:data/metadata')
    .requiredOption('--to <url>', `an empty store, such as ${ETCD}`)
    .option('--to-config <file>', 'certificates, user and password for etcd, as metadataStoreConfigPath')
    .option('--copies <n>', 'how many copies old ledgers are to have; nodes make them', wholeNumber(1, 16), 2)
    .option('--json', 'one JSON object')
    .addHelpText('after', examples(`strata metadata export --from level:data/metadata --to ${ETCD} --copies 3`))
    .action(async (flags: ExportFlags) => {
      const { exportMetadata } = await import('../metadata-export.ts')
      await exportMetadata(flags)
    })
}

function addBackups(metadata: Command): void {
  storeCommand(metadata, 'backup', 'Write all metadata, as of one moment, to a file. The cluster goes on meanwhile.')
    .requiredOption('--out <file>', 'which must not be there yet')
    .addHelpText('after', examples(`strata metadata backup --metadata ${ETCD} --out metadata.backup`))
    .action(async (flags: StoreFlags & { out: string }) => {
      const { backupMetadata } = await import('../metadata-archive.ts')
      await backupMetadata(flags)
    })
  metadata
    .command('verify')
    .description('Read a backup to its end, and say what it has.')
    .argument('<file>')
    .option('--json', 'one JSON object')
    .addHelpText('after', examples('strata metadata verify metadata.backup'))
    .action(async (file: string, flags: { json?: boolean }) => {
      const { checkBackup } = await import('../metadata-archive.ts')
      await checkBackup(file, flags)
    })
  storeCommand(
    metadata,
    'restore',
    'Put a backup into an empty store. Nobody serves by it before strata fsck --accept-store.'
  )
    .requiredOption('--from <file>', 'the backup')
    .addHelpText('after', examples(`strata metadata restore --metadata ${ETCD} --from metadata.backup`))
    .action(async (flags: StoreFlags & { from: string }) => {
      const { restoreMetadata } = await import('../metadata-archive.ts')
      await restoreMetadata(flags)
    })
}

function storeCommand(metadata: Command, name: string, description: string): Command {
  return metadata
    .command(name)
    .description(description)
    .requiredOption('--metadata <url>', `where the metadata is, such as ${ETCD}`)
    .option('--metadata-config <file>', 'certificates, user and password for etcd, as metadataStoreConfigPath')
    .option('--json', 'one JSON object')
}
