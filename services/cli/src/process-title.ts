const SECRET_FLAGS: ReadonlySet<string> = new Set(['--token', '--password'])
/** Of settings that may hold a secret themselves. */
const SECRET_SETTING = /^(tokenSecretKey|basicAuthConf|\w*AuthenticationParameters|\w*[Ss]ecret|\w*[Pp]assword)$/
const HIDDEN = '***'

/** What a list of processes may show of a command line; undefined: nothing of it is secret. */
export function shownTitle(argv: readonly string[]): string | undefined {
  const shown = argv.map((argument, index) => shownArgument(argument, argv[index - 1]))
  return shown.every((argument, index) => argument === argv[index]) ? undefined : ['strata', ...shown].join(' ')
}

function shownArgument(argument: string, before: string | undefined): string {
  if (before !== undefined && SECRET_FLAGS.has(before)) return HIDDEN
  if (before === '--set') return shownSetting(argument)
  const at = argument.indexOf('=')
  if (at < 0) return argument
  const flag = argument.slice(0, at)
  if (SECRET_FLAGS.has(flag)) return `${flag}=${HIDDEN}`
  return flag === '--set' ? `--set=${shownSetting(argument.slice(at + 1))}` : argument
}

function shownSetting(setting: string): string {
  const key = setting.slice(0, Math.max(setting.indexOf('='), 0)).trim()
  return SECRET_SETTING.test(key) ? `${key}=${HIDDEN}` : setting
}
