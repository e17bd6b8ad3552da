import { Option, type Command } from 'commander'
import {
  byteSize,
  compressionOption,
  duration,
  examples,
  rate,
  typeOption,
  tokenFileOption,
  tokenOption,
  urlOption,
  wholeNumber
} from '../options.ts'
import type { PerfConsumeFlags, PerfReadFlags } from '../perf/consuming.ts'
import type { PerfProduceFlags } from '../perf/producing.ts'

export function addPerf(program: Command): void {
  const perf = program
    .command('perf')
    .description('Measure a server: rate, throughput and latencies each second, and of the whole run at its end.')
    .addHelpText(
      'after',
      examples(
        'strata perf produce my-topic --rate 2000 --no-batch --duration 30s',
        'strata perf consume my-topic --subscription bench --type shared',
        'strata perf read my-topic --json'
      )
    )
  addPerfProduce(perf)
  addPerfConsume(perf)
  addPerfRead(perf)
}

/** What all three take. */
function subcommand(perf: Command, usage: string, description: string): Command {
  return perf
    .command(usage)
    .description(description)
    .argument('<topic>', 'with --topics 3: topic-0, topic-1 and topic-2')
    .option('--topics <n>', 'how many topics', wholeNumber(1, 100_000), 1)
    .option('--duration <time>', 'how long to measure; until Ctrl-C unless given', duration)
    .option('--warm-up <time>', 'how long to run before measuring', duration, 0)
    .option('-n, --messages <n>', 'end after so many', wholeNumber(1))
    .addOption(urlOption())
    .addOption(tokenOption())
    .addOption(tokenFileOption())
    .option('--json', 'one JSON object a second, and one for the whole run')
}

function addPerfProduce(perf: Command): void {
  subcommand(perf, 'produce', 'Publish as fast as it goes, or at a rate. Latency: from sending to the receipt.')
    .option('--rate <n>', 'messages a second, all producers together; as many as go unless given', rate)
    .option('--size <size>', 'bytes of a message: 100, 1k, 2m', byteSize, 1024)
    .option('--producers <n>', 'on each topic', wholeNumber(1, 100_000), 1)
    .option('--outstanding <n>', 'messages of a producer without a receipt, at most', wholeNumber(1), 1000)
    .option('--keys <n>', 'spread messages over so many keys', wholeNumber(1))
    .addOption(compressionOption())
    .option('--no-batch', 'each message as an entry of its own')
    .option('--batch-messages <n>', 'messages of a batch, at most', wholeNumber(1))
    .option('--batch-bytes <size>', 'bytes of a batch, at most', byteSize)
    .option('--batch-delay <time>', 'how long a batch waits for more', duration)
    .addHelpText(
      'after',
      examples(
        'strata perf produce my-topic --duration 10s --warm-up 2s',
        'strata perf produce my-topic --rate 2000 --size 1k --no-batch',
        'strata perf produce my-topic --topics 10 --producers 5 --json'
      )
    )
    .action(async (topic: string, flags: PerfProduceFlags) => {
      const { perfProduce } = await import('../perf/producing.ts')
      await perfProduce(topic, flags)
    })
}

function addPerfConsume(perf: Command): void {
  subcommand(perf, 'consume', 'Take messages and acknowledge them. Latency: from publishing to arrival.')
    .option('-s, --subscription <name>', 'made if it does not exist', 'perf')
    .addOption(typeOption())
    .option('--consumers <n>', 'on each topic', wholeNumber(1, 100_000), 1)
    .option('--earliest', 'a new subscription starts at the first message that is kept, not at the next one')
    .option('--queue <n>', 'messages that wait in each consumer, at most', wholeNumber(1), 1000)
    .addHelpText(
      'after',
      examples(
        'strata perf consume my-topic --subscription bench --earliest',
        'strata perf consume my-topic --type key-shared --consumers 20 --duration 30s'
      )
    )
    .action(async (topic: string, flags: PerfConsumeFlags) => {
      const { perfConsume } = await import('../perf/consuming.ts')
      await perfConsume(topic, flags)
    })
}

function addPerfRead(perf: Command): void {
  subcommand(perf, 'read', 'Read topics without a subscription. Latency: from publishing to arrival.')
    .addOption(new Option('--from <where>', 'where to begin').choices(['earliest', 'latest']).default('earliest'))
    .option('--queue <n>', 'messages that wait in each reader, at most', wholeNumber(1), 1000)
    .addHelpText(
      'after',
      examples('strata perf read my-topic --duration 10s', 'strata perf read my-topic --messages 100000')
    )
    .action(async (topic: string, flags: PerfReadFlags) => {
      const { perfRead } = await import('../perf/consuming.ts')
      await perfRead(topic, flags)
    })
}
