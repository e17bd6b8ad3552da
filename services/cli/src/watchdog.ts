import { spawn, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { reasonOf, type Logger } from '@strata/base'

/** What `limitMs` is counted from is as much older than the last sign of life at most. */
export const BEAT_MS = 250
/** A child that does nothing but wait needs next to nothing. */
const NODE_FLAGS = ['--max-old-space-size=16', '--max-semi-space-size=1']

/**
 * A process beside this one that ends it with SIGKILL once it has stood still (stopped, swapped out, caught in a loop) for
 * longer than `limitMs`. By then its place in the cluster is another's; but the kernel keeps its connections open, and a client
 * would wait for an answer on them until its own keep-alive gives up, half a minute and more. A process that is gone
 * refuses at once.
 *
 * Ends with this process. A machine that stood still as a whole, and the watchdog with it, is left alone.
 */
export class Watchdog {
  readonly #child: ChildProcess
  readonly #timer: NodeJS.Timeout

  constructor({ limitMs, logger }: { limitMs: number; logger: Logger }) {
    const script = fileURLToPath(new URL('./watchdog-child.js', import.meta.url))
    this.#child = spawn(process.execPath, [...NODE_FLAGS, script, `${process.pid}`, `${limitMs}`], {
      stdio: ['pipe', 'ignore', 'inherit']
    })
    const { stdin } = this.#child
    stdin?.on('error', () => undefined) // whoever ended it meant it: the broker goes on without
    this.#child.once('error', error => {
      const fields = { event: 'watchdog.failed', reason: reasonOf(error) }
      logger.warn(fields, 'there is no watchdog: should this process stand still, its clients wait')
    })
    this.#child.unref()
    this.#timer = setInterval(() => stdin?.write('.'), BEAT_MS)
    this.#timer.unref()
  }

  close(): void {
    clearInterval(this.#timer)
    this.#child.stdin?.destroy()
    this.#child.kill('SIGTERM')
  }
}
