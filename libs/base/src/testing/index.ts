import type { Clock } from '../clock.ts'

/** A clock that moves only when told to. Timers due at one moment run in the order they were set. */
export class ManualClock implements Clock {
  #nowMs: number
  #wallAheadMs = 0
  #sequence = 0
  #agenda: { atMs: number; sequence: number; run: () => void }[] = []

  constructor(startMs = 1_700_000_000_000) {
    this.#nowMs = startMs
  }

  nowMs(): number {
    return this.#nowMs
  }

  wallMs(): number {
    return this.#nowMs + this.#wallAheadMs
  }

  /** Somebody sets the wall clock: back, if negative. Nothing comes due by it. */
  stepWall(byMs: number): void {
    this.#wallAheadMs += byMs
  }

  after(delayMs: number, run: () => void): () => void {
    const item = { atMs: this.#nowMs + delayMs, sequence: this.#sequence++, run }
    this.#agenda.push(item)
    return () => {
      this.#agenda = this.#agenda.filter(other => other !== item)
    }
  }

  /** Moves time forward, running what comes due on the way. */
  advance(byMs: number): void {
    const untilMs = this.#nowMs + byMs
    for (;;) {
      const due = this.#agenda
        .filter(item => item.atMs <= untilMs)
        .sort((a, b) => a.atMs - b.atMs || a.sequence - b.sequence)[0]
      if (due === undefined) break
      this.#agenda = this.#agenda.filter(item => item !== due)
      this.#nowMs = Math.max(this.#nowMs, due.atMs)
      due.run()
    }
    this.#nowMs = untilMs
  }
}

const EVENTUALLY_MS = 60_000
const LOOK_MS = 10

/** Runs it, now and then, until it does not throw, and returns what it gave. @throws What it threw last, after a minute */
export async function eventually<Result>(run: () => Result | Promise<Result>): Promise<Result> {
  const deadlineMs = performance.now() + EVENTUALLY_MS
  for (;;) {
    try {
      return await run()
    } catch (error) {
      if (performance.now() > deadlineMs) throw error
    }
    await new Promise(resolve => setTimeout(resolve, LOOK_MS))
  }
}
