import { EXIT } from './failure.ts'

/** Ctrl-C and SIGTERM while a command runs. */
export interface Interrupt {
  /** Aborted by the first one. */
  readonly signal: AbortSignal
}

/** Runs until `run` is done; the first Ctrl-C asks it to end, the second one ends the process at once. */
export async function interruptible<T>(run: (interrupt: Interrupt) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  const stop = (): void => {
    if (controller.signal.aborted) process.exit(EXIT.interrupted)
    controller.abort()
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  try {
    return await run({ signal: controller.signal })
  } finally {
    process.off('SIGINT', stop)
    process.off('SIGTERM', stop)
  }
}

/** Waits; an interrupt ends the wait early. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted || milliseconds <= 0) return
  await new Promise<void>(resolve => {
    const done = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, milliseconds)
    signal.addEventListener('abort', done, { once: true })
  })
}
