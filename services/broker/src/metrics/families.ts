import { setImmediate } from 'node:timers/promises'

export type MetricKind = 'counter' | 'gauge'

/** Content type of `Families.text`. */
export const PROMETHEUS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** Some milliseconds of work. */
const LINES_PER_TURN = 5_000

/** What one series is of. Its text is made once, for the many metrics of one thing. */
export class Labels {
  readonly pairs: readonly (readonly [name: string, value: string])[]
  readonly text: string

  constructor(pairs: readonly (readonly [name: string, value: string])[]) {
    this.pairs = pairs
    this.text = pairs.map(([name, value]) => `${name}="${escaped(value)}"`).join(',')
  }

  with(name: string, value: string): Labels {
    return new Labels([...this.pairs, [name, value]])
  }
}

interface Family {
  readonly name: string
  readonly kind: MetricKind
  readonly labels: Labels[]
  readonly values: number[]
}

/**
 * What is measured at one moment, by metric: what `/metrics` shows and what is pushed are both made of it. A metric is of one
 * kind; whoever adds a series under it adds it once.
 */
export class Families {
  readonly #families = new Map<string, Family>()
  #size = 0

  /** Series, all metrics together. */
  get size(): number {
    return this.#size
  }

  gauge(name: string, labels: Labels, value: number): void {
    this.#add(name, 'gauge', { labels, value })
  }

  /** Never falls while the series is there, but for a restart of what it counts. */
  counter(name: string, labels: Labels, value: number): void {
    this.#add(name, 'counter', { labels, value })
  }

  values(): Iterable<Readonly<Family>> {
    return this.#families.values()
  }

  /** In Prometheus' format, each metric under its TYPE line. In turns: it may be megabytes. */
  async text(): Promise<string> {
    let text = ''
    let lines = 0
    for (const { name, kind, labels, values } of this.#families.values()) {
      text += `# TYPE ${name} ${kind}\n`
      for (const [index, value] of values.entries()) {
        text += `${name}{${labels[index]?.text ?? ''}} ${Number.isFinite(value) ? value : 0}\n`
        if (++lines % LINES_PER_TURN === 0) await setImmediate()
      }
    }
    return text
  }

  #add(name: string, kind: MetricKind, { labels, value }: { labels: Labels; value: number }): void {
    let family = this.#families.get(name)
    if (family === undefined) {
      family = { name, kind, labels: [], values: [] }
      this.#families.set(name, family)
    }
    family.labels.push(labels)
    family.values.push(value)
    this.#size++
  }
}

function escaped(label: string): string {
  return label.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
}
