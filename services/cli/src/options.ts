import { InvalidArgumentError, Option, type Command } from 'commander'

export const DEFAULT_URL = 'pulsar://localhost:6650'
export const DEFAULT_ADMIN_URL = 'http://localhost:8080'

export function urlOption(): Option {
  return new Option('--url <url>', 'where the server takes clients').default(DEFAULT_URL).env('STRATA_URL')
}

export function adminUrlOption(): Option {
  return new Option('--admin-url <url>', 'where the server takes HTTP')
    .default(DEFAULT_ADMIN_URL)
    .env('STRATA_ADMIN_URL')
}

/** Who asks. */
export function tokenOption(): Option {
  return new Option(
    '--token <jwt>',
    'who asks; better by --token-file or STRATA_TOKEN, which no list of processes shows'
  )
}

export function tokenFileOption(): Option {
  return new Option('--token-file <file>', 'that has the token')
}

/** A subcommand that speaks to the admin API. */
export function adminCommand(group: Command, usage: string, description: string): Command {
  return group
    .command(usage)
    .description(description)
    .addOption(adminUrlOption())
    .addOption(tokenOption())
    .addOption(tokenFileOption())
    .option('--json', 'one JSON object a line')
}

/** Of what cannot be taken back. */
export function addDestroying(command: Command): Command {
  return command
    .option('--dry-run', 'say what would go, and change nothing')
    .option('--yes', 'without asking; needed where nobody is at a terminal')
}

export const COMPRESSIONS = ['none', 'lz4', 'zlib', 'zstd', 'snappy'] as const

export function compressionOption(): Option {
  return new Option('--compression <name>', 'of what is sent').choices(COMPRESSIONS).default('none')
}

export const SUBSCRIPTION_TYPES = ['exclusive', 'shared', 'failover', 'key-shared'] as const

export function typeOption(): Option {
  return new Option('--type <type>', 'of the subscription').choices(SUBSCRIPTION_TYPES).default('exclusive')
}

/** A subcommand that speaks to a cluster's metadata store and storage nodes. */
export function clusterCommand(group: Command, usage: string, description: string): Command {
  return group
    .command(usage)
    .description(description)
    .option('--metadata <url>', 'where the metadata is: etcd:http://host:2379, or level:directory')
    .option('--conf <file>', "settings of a storage node: where the metadata is, the cluster's secret, certificates")
    .option('--set <key=value>', 'one of these settings; may be repeated', collect, [])
    .option('--json', 'one JSON object a line')
}

/** Text under a command's help. */
export function examples(...lines: string[]): string {
  return `\nExamples:\n${lines.map(line => `  ${line}`).join('\n')}`
}

export function collect(value: string, previous: readonly string[] = []): readonly string[] {
  return [...previous, value]
}

/** `key=value`, gathered. */
export function property(text: string, previous: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const at = text.indexOf('=')
  if (at <= 0) throw new InvalidArgumentError('Write it as key=value.')
  return { ...previous, [text.slice(0, at)]: text.slice(at + 1) }
}

/** A parser of whole numbers within bounds. */
export function wholeNumber(min: number, max: number = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return text => {
    const value = /^\d+$/.test(text) ? Number(text) : NaN
    if (value >= min && value <= max) return value
    const bound = max === Number.MAX_SAFE_INTEGER ? `of ${min} or more` : `from ${min} to ${max}`
    throw new InvalidArgumentError(`It must be a whole number ${bound}.`)
  }
}

/** Messages a second: any positive number. */
export function rate(text: string): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : NaN
  if (value > 0) return value
  throw new InvalidArgumentError('It must be a number above 0.')
}

const MS_OF_UNIT: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** Milliseconds of `250ms`, `10s`, `5m`, `2h` or `1d`; a bare number is of seconds. */
export function duration(text: string): number {
  const milliseconds = durationMsOf(text)
  if (milliseconds !== undefined) return milliseconds
  throw new InvalidArgumentError('Write a time as 250ms, 10s, 5m, 2h or 1d.')
}

export function durationMsOf(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text)
  return match === null ? undefined : Number(match[1]) * (MS_OF_UNIT[match[2] ?? 's'] ?? NaN)
}

const BYTES_OF_UNIT: Readonly<Record<string, number>> = { '': 1, k: 1024, m: 1024 * 1024 }

/** Bytes of `100`, `1k` or `2m`, with or without a trailing `b`. */
export function byteSize(text: string): number {
  const match = /^(\d+)(k|m)?b?$/i.exec(text)
  if (match !== null) return Number(match[1]) * (BYTES_OF_UNIT[(match[2] ?? '').toLowerCase()] ?? NaN)
  throw new InvalidArgumentError('Write a size as 100, 1k or 2m.')
}

const SIZE_UNITS = ['bytes', 'KB', 'MB', 'GB', 'TB', 'PB'] as const

/** A size for people, three digits. */
export function sizeText(bytes: number): string {
  let value = bytes
  let unit = 0
  for (; value >= 1_000 && unit < SIZE_UNITS.length - 1; unit++) value /= 1024
  const digits = unit === 0 || value >= 100 ? 0 : 1
  return `${value.toFixed(digits)} ${SIZE_UNITS[unit] ?? ''}`
}
