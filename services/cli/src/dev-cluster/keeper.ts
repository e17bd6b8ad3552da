import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { note } from '../output.ts'
import { STOP_ORDER, type MemberKind } from './plan.ts'

/** A child that does nothing but wait needs next to nothing. */
const NODE_FLAGS = ['--max-old-space-size=16', '--max-semi-space-size=1']

/**
 * A process beside the command that stops what the command started, in order, should the command be gone without having done
 * so itself (kill -9, a crash). It is told of every process, and notices the end of the command by the pipe between them.
 * Without it (somebody ended it, too) the command goes on as if nothing were.
 */
export class Keeper {
  readonly #child: ChildProcess

  constructor() {
    const script = fileURLToPath(new URL('./keeper-child.js', import.meta.url))
    // a group of its own: what is sent to the command's group must not end it
    this.#child = spawn(process.execPath, [...NODE_FLAGS, script], {
      detached: true,
      stdio: ['pipe', 'ignore', 'inherit']
    })
    this.#child.stdin?.on('error', () => undefined)
    this.#child.once('error', error => note(`killed, this command would leave its processes behind: ${error.message}`))
    this.#child.unref()
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  started(kind: MemberKind, pid: number): void {
    this.#child.stdin?.write(`+ ${STOP_ORDER.indexOf(kind)} ${pid}\n`)
  }

  ended(pid: number): void {
    this.#child.stdin?.write(`- 0 ${pid}\n`)
  }

  /** It ends: at once where nothing runs any more. */
  close(): void {
    this.#child.stdin?.end()
  }
}
