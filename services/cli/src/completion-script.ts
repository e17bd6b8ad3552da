import type { Command } from 'commander'

/** What may follow one command path, such as `topics create`. */
interface Place {
  readonly path: string
  /** Subcommands, choices of an argument, and options. */
  readonly words: readonly string[]
}

/** What may follow an option of one command path. */
interface OptionValues {
  readonly path: string
  readonly flags: readonly string[]
  /** Empty: anything, such as the name of a file. */
  readonly choices: readonly string[]
}

/**
 * Both scripts walk the words before the cursor: names of subcommands go down the tree, everything else is passed over.
 * They are made from the tree of commands itself, so they know no option that there is not.
 */
export function bashCompletion(program: Command): string {
  return `# Completion of strata for bash: source <(strata completion bash)
_strata() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" path="" at
  for ((at = 1; at < COMP_CWORD; at++)); do
    case "$path/\${COMP_WORDS[at]}" in
      ${pathPatterns(program)}) path="\${path:+$path }\${COMP_WORDS[at]}" ;;
    esac
  done
  case "$path/$previous" in
${valueCases(program, choices => (choices.length === 0 ? 'COMPREPLY=($(compgen -f -- "$current"))' : bashReply(choices)))}
  esac
  case "$path" in
${placeCases(program, bashReply)}
  esac
}
complete -F _strata strata
`
}

export function zshCompletion(program: Command): string {
  return `#compdef strata
# Completion of strata for zsh: strata completion zsh > "\${fpath[1]}/_strata"
_strata() {
  local previous="\${words[CURRENT-1]}" route="" at
  for ((at = 2; at < CURRENT; at++)); do
    case "$route/\${words[at]}" in
      ${pathPatterns(program)}) route="\${route:+$route }\${words[at]}" ;;
    esac
  done
  case "$route/$previous" in
${valueCases(program, choices => (choices.length === 0 ? '_files' : zshReply(choices)))}
  esac
  case "$route" in
${placeCases(program, zshReply)}
  esac
}
if [ "\${funcstack[1]}" = _strata ]; then _strata "$@"; else compdef _strata strata; fi
`
}

function bashReply(words: readonly string[]): string {
  return `COMPREPLY=($(compgen -W "${words.join(' ')}" -- "$current"))`
}

function zshReply(words: readonly string[]): string {
  return `compadd -- ${words.join(' ')}`
}

/** `""/topics`, `"topics"/create`…: which word leads from where to where. */
function pathPatterns(program: Command): string {
  const steps = placesOf(program).flatMap(({ path }) => {
    if (path === '') return []
    const at = path.lastIndexOf(' ')
    return [`"${path.slice(0, Math.max(0, at))}/${path.slice(at + 1)}"`]
  })
  return steps.join(' | ')
}

function placeCases(program: Command, reply: (words: readonly string[]) => string): string {
  return placesOf(program)
    .map(({ path, words }) => `    "${path}") ${reply(words)} ;;`)
    .join('\n')
}

function valueCases(program: Command, reply: (choices: readonly string[]) => string): string {
  return valuesOf(program)
    .map(({ path, flags, choices }) => {
      const patterns = flags.map(flag => `"${path}/${flag}"`).join(' | ')
      return `    ${patterns}) ${reply(choices)}; return ;;`
    })
    .join('\n')
}

function placesOf(command: Command, path = ''): Place[] {
  const here = command.commands.flatMap(sub => placesOf(sub, path === '' ? sub.name() : `${path} ${sub.name()}`))
  const choices = command.registeredArguments.flatMap(argument => argument.argChoices ?? [])
  const options = command.options.flatMap(option => option.long ?? [])
  const words = [...command.commands.map(sub => sub.name()), ...choices, ...options, '--help']
  return [{ path, words }, ...here]
}

function valuesOf(command: Command, path = ''): OptionValues[] {
  const own = command.options
    .filter(option => option.required || option.optional)
    .map(option => ({
      path,
      flags: [option.long, option.short].filter(flag => flag !== undefined),
      choices: option.argChoices ?? []
    }))
  return [...own, ...command.commands.flatMap(sub => valuesOf(sub, path === '' ? sub.name() : `${path} ${sub.name()}`))]
}
