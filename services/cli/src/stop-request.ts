import { EXIT } from './failure.ts'

/** Resolves with Ctrl-C, which drains and closes; a second one ends the process at once. */
export function stopRequest(): Promise<void> {
  return new Promise(resolve => {
    let stopping = false
    const stop = (): void => {
      if (stopping) process.exit(EXIT.interrupted)
      stopping = true
      resolve()
    }
    process.on('SIGINT', stop)
    process.on('SIGTERM', stop)
  })
}
