import type { Command } from 'commander'
import { duration, examples, urlOption, wholeNumber, tokenFileOption, tokenOption } from '../options.ts'
import type { ReadFlags } from '../reading.ts'
import { POSITION_FORMS, positionArgument } from '../start-position.ts'

export function addRead(program: Command): void {
  program
    .command('read')
    .description(
      'Print the messages of a topic without a subscription: to its present end, or on and on with --follow.'
    )
    .argument('<topic>', 'name, tenant/namespace/name or persistent://tenant/namespace/name')
    .option(
      '--from <where>',
      `${POSITION_FORMS}; latest is the last message, or with --follow what comes next`,
      positionArgument,
      {
        kind: 'earliest'
      }
    )
    .option('-n, --count <n>', 'end after so many', wholeNumber(1))
    .option('--follow', 'wait for more at the end')
    .option('--timeout <time>', 'with --follow: end when nothing came for so long: 250ms, 10s, 5m', duration)
    .addOption(urlOption())
    .addOption(tokenOption())
    .addOption(tokenFileOption())
    .option('-v, --verbose', 'time, id, key and properties before each message')
    .option('--json', 'one JSON object for each message')
    .addHelpText(
      'after',
      examples(
        'strata read my-topic',
        'strata read my-topic --from latest --follow',
        'strata read my-topic --from 12:0 --count 10 --json',
        'strata read my-topic --from 2026-01-31T12:00Z',
        'strata read my-topic --from 10m --verbose'
      )
    )
    .action(async (topic: string, flags: ReadFlags) => {
      const { read } = await import('../reading.ts')
      await read(topic, flags)
    })
}
