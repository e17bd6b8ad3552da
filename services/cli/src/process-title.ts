import { HIDDEN, isSecretName, withSecretsHidden } from './secrets.ts'

const SECRET_FLAGS: ReadonlySet<string> = new Set(['--token', '--password'])

/** What a list of processes may show of a command line; undefined: nothing of it is secret. */
export function shownTitle(argv: readonly string[]): string | undefined {
  const shown = argv.map((argument, index) => shownArgument(argument, argv[index - 1]))
  return shown.every((argument, index) => argument === argv[index]) ? undefined : ['strata', ...shown].join(' ')
}

/** @param before `brokers set NAME VALUE` and `--token TOKEN` say what comes */
function shownArgument(argument: string, before: string | undefined): string {
  if (before !== undefined && (SECRET_FLAGS.has(before) || isSecretName(before))) return HIDDEN
  if (argument.startsWith('{')) return shownFields(argument)
  const [name = '', ...rest] = argument.split('=')
  if (rest.length === 0) return argument
  if (name === '--set') return `--set=${shownArgument(rest.join('='), undefined)}`
  return SECRET_FLAGS.has(name) || isSecretName(name.trim()) ? `${name}=${HIDDEN}` : argument
}

/** A policy in JSON. */
function shownFields(text: string): string {
  try {
    const value: unknown = JSON.parse(text)
    const shown = JSON.stringify(withSecretsHidden(value))
    return shown === JSON.stringify(value) ? text : shown
  } catch {
    return text
  }
}
