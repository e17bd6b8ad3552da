import { EventQueue, type SimEvent } from './event-queue.ts'
import { SimProcess } from './sim-process.ts'

/** How a run ended: what was waited for came, nothing is left to happen, or time was up. */
export type RunEnd = 'done' | 'idle' | 'late'

/** Events at one and the same moment, at most: more of them is a loop that waits for time to pass without letting it. */
const EVENTS_AT_ONCE_MAX = 20_000

/**
 * Virtual time. Events run one after another in the order of their time, then of their making; between two events every
 * promise continuation of the first one runs. Time passes only from event to event.
 *
 * How it drains: all of `run` is one tick of Node, which does behind each event what Node does behind each callback, by
 * Node's own function: everything `process.nextTick` was given and every promise job, until there is none, rejections that
 * nobody waits for included. Nothing else of the process runs meanwhile, so for the length of `run` the global
 * `setImmediate` may be this one's: production code that uses it stays deterministic.
 *
 * Invariants
 *   S1  The same calls give the same order: no wall clock, no chance of its own.
 *   S2  A dead process's events never run; a paused one's wait, in their order, until it goes on.
 */
export class Scheduler {
  readonly #queue = new EventQueue()
  #nowMs = 0
  #sequence = 0
  #hash = 0x811c9dc5
  #eventCount = 0
  #eventsAtOnce = 0
  #running: SimProcess | undefined
  #failure: { readonly error: unknown } | undefined

  get nowMs(): number {
    return this.#nowMs
  }

  /** Of all events so far, their times and order: equal for equal runs. */
  get traceHash(): number {
    return this.#hash >>> 0
  }

  get eventCount(): number {
    return this.#eventCount
  }

  /** The process whose event runs. */
  get running(): SimProcess | undefined {
    return this.#running
  }

  createProcess(name: string): SimProcess {
    return new SimProcess(this, name)
  }

  /** Runs `run` in `delayMs`, for `owner` (undefined: for the world itself). The returned function cancels it. */
  post(owner: SimProcess | undefined, delayMs: number, run: () => void): () => void {
    const event: SimEvent = { atMs: this.#nowMs + Math.max(delayMs, 0), sequence: this.#sequence++, owner, run }
    this.#queue.push(event)
    return () => {
      event.run = undefined
    }
  }

  /** Runs `run` at once, within the event that brought it, as a part of `owner`. */
  runAs(owner: SimProcess, run: () => void): void {
    const before = this.#running
    this.#running = owner
    run()
    this.#running = before
  }

  /** Takes part in the hash: what happened, beside when. */
  note(value: number): void {
    this.#hash = Math.imul(this.#hash ^ (value | 0), 0x01000193)
  }

  /** Ends the run: somebody found a bug. The first one counts. */
  fail(error: unknown): void {
    this.#failure ??= { error }
  }

  /** Runs events until `isDone`, none is left, or time reaches `deadlineMs`. Rejects with what `fail` was told or an event threw. */
  run(isDone: () => boolean, deadlineMs: number): Promise<RunEnd> {
    return new Promise((resolve, reject) => {
      process.nextTick(() => {
        const end = this.#runAll(isDone, deadlineMs)
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- handed on as it came
        if (this.#failure !== undefined) reject(this.#failure.error)
        else resolve(end)
      })
    })
  }

  /** Not within a promise job: those of the events would wait for its end. */
  #runAll(isDone: () => boolean, deadlineMs: number): RunEnd {
    const restore = this.#takeImmediates()
    try {
      for (;;) {
        const end = this.#step(isDone, deadlineMs)
        drain()
        if (this.#failure !== undefined) return 'done'
        if (end !== undefined) return end
      }
    } catch (error) {
      this.fail(error)
      return 'done'
    } finally {
      restore()
    }
  }

  #step(isDone: () => boolean, deadlineMs: number): RunEnd | undefined {
    if (isDone()) return 'done'
    const event = this.#nextDue()
    if (event === undefined) return 'idle'
    if (event.atMs > deadlineMs) {
      this.#nowMs = Math.max(this.#nowMs, deadlineMs)
      return 'late'
    }
    this.#queue.pop()
    const { owner, run } = event
    if (run === undefined) return undefined
    if (event.atMs > this.#nowMs) {
      this.#nowMs = event.atMs
      this.#eventsAtOnce = 0
    } else if (++this.#eventsAtOnce > EVENTS_AT_ONCE_MAX) {
      throw new Error(`time stands still at ${this.#nowMs} ms in ${owner?.name ?? 'the world'}`)
    }
    this.#eventCount++
    this.note(event.sequence)
    this.note(event.atMs * 1024)
    this.#running = owner
    run()
    return undefined
  }

  /** The next event that is to run, left in the queue. Others before it are out of it: cancelled, of the dead, or held. */
  #nextDue(): SimEvent | undefined {
    for (;;) {
      const event = this.#queue.peek()
      if (event === undefined) return undefined
      const { owner, run } = event
      const isVoid = run === undefined || owner?.isDead === true
      if (!isVoid && owner?.isPaused !== true) return event
      this.#queue.pop()
      if (!isVoid) owner?.hold(event)
    }
  }

  /** A process that uses `setImmediate` gets its turn behind everything that is due now. */
  #takeImmediates(): () => void {
    const real = globalThis.setImmediate
    const simulated = (run: (...args: unknown[]) => void, ...args: unknown[]): void => {
      this.post(this.#running, 0, args.length === 0 ? run : () => run(...args))
    }
    globalThis.setImmediate = simulated as unknown as typeof setImmediate // its handle is used by nobody here
    return () => {
      globalThis.setImmediate = real
    }
  }
}

/** What Node runs behind each of its callbacks. */
const drain = (process as unknown as { readonly _tickCallback: () => void })._tickCallback
