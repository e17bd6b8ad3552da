import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { CommandFailure } from '../failure.ts'
import type { ClusterNode } from './nodes.ts'

const PLACES = ['kind', 'id', 'host', 'address'] as const

/** Puts a node into a command line, each value as one word of the shell: `ssh {host} systemctl restart strata-{kind}`. */
export function commandFor(template: string, node: Pick<ClusterNode, (typeof PLACES)[number]>): string {
  return template.replace(/\{(\w+)\}/g, (text, name: string) => {
    const place = PLACES.find(each => each === name)
    if (place === undefined) {
      const line = `--command: there is no ${text}; there are ${PLACES.map(each => `{${each}}`).join(', ')}`
      throw new CommandFailure(line, { exitCode: 64 })
    }
    return quoted(node[place])
  })
}

function quoted(text: string): string {
  return /^[-\w.:/@]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}

/** Runs it by the shell; its output goes to standard error. @throws CommandFailure: it failed */
export async function runCommand(command: string, signal: AbortSignal): Promise<void> {
  const child = spawn('/bin/sh', ['-c', command], { stdio: ['ignore', 'pipe', 'pipe'], signal })
  child.stdout.pipe(process.stderr, { end: false })
  child.stderr.pipe(process.stderr, { end: false })
  try {
    const [code, by] = (await once(child, 'exit')) as [number | null, string | null]
    if (code === 0) return
    throw new CommandFailure(`\`${command}\` ended with ${code ?? by}: nothing else was restarted`)
  } catch (error) {
    if (error instanceof CommandFailure) throw error
    throw new CommandFailure(`\`${command}\` could not be run to its end: nothing else was restarted`, { cause: error })
  }
}
