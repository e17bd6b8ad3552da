import { createInterface } from 'node:readline/promises'
import { CommandFailure, EXIT, usageFailure } from './failure.ts'
import { sizeText } from './options.ts'
import { printJson, printLine } from './output.ts'

export interface DestroyFlags {
  readonly yes?: boolean
  readonly dryRun?: boolean
  readonly json?: boolean
}

/** What is lost, by its name for people: counts, and `bytes`. */
export type Loss = Readonly<Record<string, number>>

export interface Destruction {
  /** Such as `namespace acme/orders`; its last word is what is to be typed. */
  readonly what: string
  /** Such as `deleted`. */
  readonly done: string
  /** What `--json` says it is, such as `{ namespace }`. */
  readonly record: Readonly<Record<string, unknown>>
  /** Asked for where somebody is shown it. */
  readonly loss: () => Promise<Loss>
  readonly run: () => Promise<unknown>
}

/**
 * Does what cannot be taken back, after somebody at a terminal typed the name of what goes, or `--yes`. With `--dry-run` it says what
 * would go, and changes nothing.
 */
export async function destroy(flags: DestroyFlags, destruction: Destruction): Promise<void> {
  const { what, done, record, run } = destruction
  if (flags.dryRun === true) {
    const loss = await destruction.loss()
    await (flags.json === true
      ? printJson({ ...record, dryRun: true, ...loss })
      : printLine(`would be ${done}: ${what}${lossText(loss)}`))
    return
  }
  await confirm(flags, { what: `${what} is about to be ${done}`, typed: lastWord(what), loss: destruction.loss })
  await run()
  await (flags.json === true ? printJson({ ...record, [done]: true }) : printLine(`${done} ${what}`))
}

/** @throws CommandFailure unless `--yes` was given or the word was typed */
export async function confirm(
  flags: DestroyFlags,
  { what, typed, loss }: { what: string; typed: string; loss: () => Promise<Loss> }
): Promise<void> {
  if (flags.yes === true) return
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw usageFailure(
      `${what}, and nobody is at a terminal to confirm it: see what goes with --dry-run, then add --yes`
    )
  }
  if ((await answerTo(`${what}${lossText(await loss())}.\nType ${typed} to go on: `)) === typed) return
  throw new CommandFailure(`nothing was changed: ${typed} was not typed`, { exitCode: EXIT.failed })
}

/** Undefined where the terminal has no more to say, or Ctrl-C. */
async function answerTo(question: string): Promise<string | undefined> {
  const asking = createInterface({ input: process.stdin, output: process.stderr })
  const ended = new AbortController()
  asking.once('close', () => ended.abort())
  try {
    return (await asking.question(question, { signal: ended.signal })).trim()
  } catch (error) {
    if (ended.signal.aborted) return undefined
    throw error
  } finally {
    asking.close()
  }
}

function lastWord(text: string): string {
  return text.split(' ').at(-1) ?? text
}

/** ` (2 topics, 3 subscriptions, 1.2 MB)` */
function lossText(loss: Loss): string {
  const parts = Object.entries(loss).map(([name, value]) =>
    name === 'bytes' ? sizeText(value) : `${value} ${value === 1 ? name.replace(/s$/, '') : name}`
  )
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`
}
