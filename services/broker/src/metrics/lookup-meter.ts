import { IntervalQuantiles } from './interval-buckets.ts'

/** Lookups over the binary protocol; `pending` counts questions for partitions, too. */
export class LookupMeter {
  /** Under way. */
  pending = 0
  /** Answers that named this broker. */
  answers = 0
  /** Answers that named another one. */
  redirects = 0
  failures = 0
  readonly latency = new IntervalQuantiles()

  onAnswer({ isElsewhere, tookMs }: { isElsewhere: boolean; tookMs: number }): void {
    if (isElsewhere) this.redirects++
    else this.answers++
    this.latency.add(tookMs)
  }
}
