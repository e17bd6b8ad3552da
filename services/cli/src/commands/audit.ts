import type { Command } from 'commander'
import type { AuditFlags } from '../audit-view.ts'
import { examples } from '../options.ts'

export function addAudit(program: Command): void {
  program
    .command('audit')
    .description('What was changed over HTTP, by whom, as a broker of this machine wrote it down.')
    .argument('<file>', 'strataAuditLogPath of the broker; older files are read, too')
    .option('--since <time>', 'ISO 8601, or so long ago: 90s, 30m, 12h, 7d')
    .option('--role <role>', 'of who asked, or for whom')
    .option('--path <text>', 'part of the path: a tenant, a namespace, a topic')
    .option('--operation <name>', 'such as deleteTopic')
    .option('--refused', 'only what was not done')
    .option('--json', 'one JSON object a line, with what was before and after')
    .addHelpText(
      'after',
      examples('strata audit /var/log/strata/audit.log --since 12h', 'strata audit audit.log --path acme/app --json')
    )
    .action(async (file: string, flags: AuditFlags) => {
      const { showAudit } = await import('../audit-view.ts')
      await showAudit(file, flags)
    })
}
