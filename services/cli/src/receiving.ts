import { CodedError } from '@strata/base'
import type { Message } from '@strata/client'
import { CommandFailure, EXIT } from './failure.ts'
import type { Interrupt } from './interrupt.ts'

export type Ending = 'count' | 'timeout' | 'end' | 'interrupt'

export interface Receiving {
  /** The next message; undefined where there is none any more. @throws CodedError TIMEOUT */
  next(timeoutMs: number | undefined): Promise<Message | undefined>
  onMessage(message: Message): Promise<void>
  readonly count: number | undefined
  /** Ends it when nothing came for so long. */
  readonly timeoutMs: number | undefined
  readonly interrupt: Interrupt
}

/** Takes messages one after the other until enough came, nothing came for too long, there are no more, or Ctrl-C. */
export async function receiveAll(receiving: Receiving): Promise<{ received: number; ending: Ending }> {
  const { count = Infinity, timeoutMs, interrupt } = receiving
  // one listener for all rounds: racing against one lasting promise would keep every round in memory
  let wake = (): void => undefined
  interrupt.signal.addEventListener('abort', () => wake())
  const interrupted = (): Promise<undefined> =>
    new Promise(resolve => {
      wake = () => resolve(undefined)
    })
  for (let received = 0; ; received++) {
    if (received >= count) return { received, ending: 'count' }
    if (interrupt.signal.aborted) return { received, ending: 'interrupt' }
    let message: Message | undefined
    try {
      message = await Promise.race([receiving.next(timeoutMs), interrupted()])
    } catch (error) {
      if (error instanceof CodedError && error.code === 'TIMEOUT') return { received, ending: 'timeout' }
      throw error
    }
    if (message === undefined) return { received, ending: wasInterrupted(interrupt) ? 'interrupt' : 'end' }
    await receiving.onMessage(message)
  }
}

function wasInterrupted(interrupt: Interrupt): boolean {
  return interrupt.signal.aborted
}

/** Less than what was asked for is told by the exit code. @throws CommandFailure */
export function checkEnough(
  { received, ending }: { received: number; ending: Ending },
  asked: { count: number | undefined; what: string; advice: string }
): void {
  const { count, what, advice } = asked
  if (ending === 'count') return
  if (ending === 'interrupt') {
    if (count === undefined) return
    throw new CommandFailure(`interrupted after ${received} of ${count} messages`, { exitCode: EXIT.interrupted })
  }
  const isEnough = count === undefined && (received > 0 || ending === 'end')
  if (isEnough) return
  const missing =
    count === undefined ? `nothing came from ${what}` : `${received} of ${count} messages came from ${what}`
  throw new CommandFailure(`${missing}: ${advice}`, { exitCode: EXIT.nothing })
}
