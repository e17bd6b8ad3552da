import { Argument, type Command } from 'commander'
import { bashCompletion, zshCompletion } from '../completion-script.ts'
import { examples } from '../options.ts'
import { print } from '../output.ts'

const SCRIPTS = { bash: bashCompletion, zsh: zshCompletion } as const

export function addCompletion(program: Command): void {
  program
    .command('completion')
    .description('Print what makes a shell complete commands, options and their values.')
    .addArgument(new Argument('<shell>').choices(Object.keys(SCRIPTS)))
    .addHelpText(
      'after',
      examples(
        'source <(strata completion bash)',
        'strata completion bash > /etc/bash_completion.d/strata',
        'strata completion zsh > "${fpath[1]}/_strata"'
      )
    )
    .action(async (shell: keyof typeof SCRIPTS) => {
      await print(SCRIPTS[shell](program))
    })
}
