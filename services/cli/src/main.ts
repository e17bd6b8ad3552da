import { CodedError } from '@strata/base'
import { Command, CommanderError } from 'commander'
import { addConfig } from './commands/config.ts'
import { addStandalone } from './commands/standalone.ts'

/** Exit codes: 0 done, 1 failed, 64 wrong usage, 78 wrong settings. */
const EXIT_FAILED = 1
const EXIT_USAGE = 64
const EXIT_CONFIG = 78

const CONFIG_CODES = new Set(['BAD_SETTING', 'BAD_CONFIG_FILE'])

/** Runs one command line and returns its exit code. Errors are one clear line each on standard error. */
export async function main(argv: readonly string[]): Promise<number> {
  const program = new Command('strata')
    .description("A messaging and streaming platform that speaks Apache Pulsar's protocols.")
    .version('0.1.0')
    .exitOverride()
  addStandalone(program)
  addConfig(program)
  try {
    await program.parseAsync([...argv], { from: 'user' })
    return 0
  } catch (error) {
    return report(error)
  }
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE
  const lines = error instanceof Error ? error.message.split('\n') : [String(error)]
  for (const line of lines) process.stderr.write(`strata: ${line}\n`)
  if (!(error instanceof CodedError)) return EXIT_FAILED
  return CONFIG_CODES.has(error.code) ? EXIT_CONFIG : EXIT_FAILED
}
