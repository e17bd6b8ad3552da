import type { Command } from 'commander'
import type { ConsumeFlags } from '../consuming.ts'
import { duration, examples, typeOption, urlOption, wholeNumber, tokenFileOption, tokenOption } from '../options.ts'

export function addConsume(program: Command): void {
  program
    .command('consume')
    .description('Print the messages of a subscription as they come, and acknowledge them.')
    .argument('<topic...>', 'one or several; with --pattern an expression for names in tenant/namespace')
    .requiredOption('-s, --subscription <name>', 'made if it does not exist')
    .addOption(typeOption())
    .option('--earliest', 'a new subscription starts at the first message that is kept, not at the next one')
    .option('-n, --count <n>', 'end after so many', wholeNumber(1))
    .option('--timeout <time>', 'end when nothing came for so long: 250ms, 10s, 5m', duration)
    .option('--no-ack', 'leave the messages unacknowledged: they come again')
    .option('--pattern', 'the topic is a regular expression: public/default/orders-.*')
    .option('--name <name>', "the consumer's")
    .option('--queue <n>', 'messages that wait here, at most', wholeNumber(1))
    .addOption(urlOption())
    .addOption(tokenOption())
    .addOption(tokenFileOption())
    .option('-v, --verbose', 'time, id, key and properties before each message')
    .option('--json', 'one JSON object for each message')
    .addHelpText(
      'after',
      examples(
        'strata consume my-topic --subscription first --earliest --count 1',
        'strata consume my-topic --subscription work --type shared --timeout 10s',
        'strata consume public/default/orders-.* --pattern --subscription all --json'
      )
    )
    .action(async (topics: readonly string[], flags: ConsumeFlags) => {
      const { consume } = await import('../consuming.ts')
      await consume(topics, flags)
    })
}
