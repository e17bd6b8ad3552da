import type { Command } from 'commander'
import type { ProduceFlags } from '../producing.ts'
import {
  byteSize,
  collect,
  compressionOption,
  duration,
  examples,
  property,
  rate,
  tokenFileOption,
  tokenOption,
  urlOption,
  wholeNumber
} from '../options.ts'

export function addProduce(program: Command): void {
  program
    .command('produce')
    .description('Publish messages: those given, files, or each line of standard input.')
    .argument('<topic>', 'name, tenant/namespace/name or persistent://tenant/namespace/name')
    .option('-m, --message <text>', 'a message; may be repeated', collect, [])
    .option('-f, --file <path>', 'a file that is one message; may be repeated', collect, [])
    .option('-k, --key <key>', 'of every message: its partition, and its order in Key_Shared')
    .option('-p, --property <key=value>', 'of every message; may be repeated', property, {})
    .option('-n, --count <n>', 'send what was given so many times', wholeNumber(1), 1)
    .option('-r, --rate <n>', 'messages a second, at most', rate)
    .option('--event-time <ms>', 'of every message, in milliseconds since 1970', wholeNumber(1))
    .option('--deliver-after <time>', 'Shared and Key_Shared consumers get it so much later', duration)
    .option('--name <name>', "the producer's; the server gives one otherwise")
    .addOption(compressionOption())
    .option('--chunking', 'split messages that are larger than the server takes')
    .option('--no-batch', 'each message as an entry of its own')
    .option('--batch-messages <n>', 'messages of a batch, at most', wholeNumber(1))
    .option('--batch-bytes <size>', 'bytes of a batch, at most', byteSize)
    .option('--batch-delay <time>', 'how long a batch waits for more', duration)
    .addOption(urlOption())
    .addOption(tokenOption())
    .addOption(tokenFileOption())
    .option('--json', 'one JSON object for each message that was stored')
    .addHelpText(
      'after',
      examples(
        'strata produce my-topic --message hello',
        'strata produce my-topic --message a --message b --key k --property lang=en',
        'seq 1000 | strata produce my-topic --rate 100',
        'strata produce my-topic --file photo.jpg --chunking'
      )
    )
    .action(async (topic: string, flags: ProduceFlags) => {
      const { produce } = await import('../producing.ts')
      await produce(topic, flags)
    })
}
