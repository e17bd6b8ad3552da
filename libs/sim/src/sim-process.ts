import type { Clock } from '@strata/base'

/** Virtual time, as a process uses it. */
export interface Timeline {
  readonly nowMs: number
  post(owner: SimProcess, delayMs: number, run: () => void): () => void
  runAs(owner: SimProcess, run: () => void): void
}

/** Something that came due while the process was paused; undefined: it was cancelled meanwhile. */
export interface Held {
  readonly run: (() => void) | undefined
}

/** 2026-01-01T00:00:00Z, so that wall times look like wall times. */
const WALL_ORIGIN_MS = 1_767_225_600_000

/**
 * One process of the simulated world, and its clock. Everything that comes to it (answers, timers, disk completions)
 * is posted through it: after `kill` none of it arrives, so a dead process's continuations never act again.
 */
export class SimProcess implements Clock {
  readonly name: string
  readonly #scheduler: Timeline
  #state: 'running' | 'paused' | 'dead' = 'running'
  #held: Held[] = []
  #wallOffsetMs = 0

  constructor(scheduler: Timeline, name: string) {
    this.#scheduler = scheduler
    this.name = name
  }

  get isDead(): boolean {
    return this.#state === 'dead'
  }

  get isPaused(): boolean {
    return this.#state === 'paused'
  }

  nowMs(): number {
    return this.#scheduler.nowMs
  }

  wallMs(): number {
    return Math.floor(WALL_ORIGIN_MS + this.#scheduler.nowMs + this.#wallOffsetMs)
  }

  after(delayMs: number, run: () => void): () => void {
    return this.post(delayMs, run)
  }

  post(delayMs: number, run: () => void): () => void {
    return this.#scheduler.post(this, delayMs, run)
  }

  /** Something reached the process: runs now, or when it goes on, or never. */
  enter(run: () => void): void {
    if (this.#state === 'running') this.#scheduler.runAs(this, run)
    else if (this.#state === 'paused') this.post(0, run)
  }

  /** Wall time leaps; monotonic time does not. */
  jumpWall(byMs: number): void {
    this.#wallOffsetMs += byMs
  }

  kill(): void {
    this.#state = 'dead'
    this.#held = []
  }

  /** Like SIGSTOP: what comes due waits. */
  pause(): void {
    if (this.#state === 'running') this.#state = 'paused'
  }

  resume(): void {
    if (this.#state !== 'paused') return
    this.#state = 'running'
    const held = this.#held
    this.#held = []
    for (const event of held) this.post(0, () => event.run?.())
  }

  /** For the scheduler. */
  hold(event: Held): void {
    this.#held.push(event)
  }
}
