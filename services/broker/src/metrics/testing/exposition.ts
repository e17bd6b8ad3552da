import { strict as assert } from 'node:assert'

export interface Sample {
  readonly metric: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*/
const LABEL = /^[a-zA-Z_][a-zA-Z0-9_]*/
const NUMBER = /^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$|^(NaN|[+-]Inf)$/
const KINDS = new Set(['counter', 'gauge', 'histogram', 'summary', 'untyped'])
const OF_FAMILY = /_(bucket|sum|count)$/

/**
 * Reads Prometheus' text format, version 0.0.4, and takes nothing that it does not allow: every metric is declared once, before
 * its samples, which stand together; no series is there twice; every line ends.
 */
export function parseExposition(text: string): readonly Sample[] {
  assert.ok(text === '' || text.endsWith('\n'), 'the last line does not end')
  const samples: Sample[] = []
  const declared = new Map<string, string>()
  const series = new Set<string>()
  let family = ''
  for (const [index, line] of text.split('\n').entries()) {
    const at = `line ${index + 1}: ${line}`
    if (line === '') continue
    if (line.startsWith('#')) {
      const [, word, name = '', kind = ''] = line.split(' ')
      assert.ok(word === 'HELP' || word === 'TYPE', at)
      if (word !== 'TYPE') continue
      assert.ok(KINDS.has(kind), at)
      assert.ok(!declared.has(name), `declared twice, ${at}`)
      declared.set(name, kind)
      family = name
      continue
    }
    const sample = parseSample(line, at)
    const kind = declared.get(family)
    const isCompound = kind === 'histogram' || kind === 'summary'
    const owner = isCompound ? sample.metric.replace(OF_FAMILY, '') : sample.metric
    assert.equal(owner, family, `not with its metric, ${at}`)
    const key = `${sample.metric}${JSON.stringify(Object.entries(sample.labels).sort())}`
    assert.ok(!series.has(key), `twice, ${at}`)
    series.add(key)
    samples.push(sample)
  }
  return samples
}

/** The only sample with at least these labels. */
export function sampleOf(samples: readonly Sample[], metric: string, labels: Record<string, string> = {}): number {
  const found = samples.filter(sample => sample.metric === metric && matches(sample, labels))
  assert.equal(found.length, 1, `${metric} ${JSON.stringify(labels)}: ${found.length} series`)
  return (found[0] as Sample).value
}

export function sumOf(samples: readonly Sample[], metric: string, labels: Record<string, string> = {}): number {
  return samples
    .filter(sample => sample.metric === metric && matches(sample, labels))
    .reduce((sum, { value }) => sum + value, 0)
}

function matches(sample: Sample, labels: Record<string, string>): boolean {
  return Object.entries(labels).every(([name, value]) => sample.labels[name] === value)
}

function parseSample(line: string, at: string): Sample {
  const metric = NAME.exec(line)?.[0]
  assert.ok(metric !== undefined, at)
  let rest = line.slice(metric.length)
  const labels: Record<string, string> = {}
  if (rest.startsWith('{')) {
    rest = rest.slice(1)
    while (!rest.startsWith('}')) {
      const name = LABEL.exec(rest)?.[0]
      assert.ok(name !== undefined && !Object.hasOwn(labels, name), at)
      const value = /^="((?:[^"\\\n]|\\[\\"n])*)"/.exec(rest.slice(name.length))
      assert.ok(value !== null, at)
      labels[name] = unescaped(value[1] ?? '')
      rest = rest.slice(name.length + value[0].length)
      if (rest.startsWith(',')) rest = rest.slice(1)
      else assert.ok(rest.startsWith('}'), at)
    }
    rest = rest.slice(1)
  }
  assert.ok(rest.startsWith(' '), at)
  const value = rest.slice(1)
  assert.match(value, NUMBER, at)
  return { metric, labels, value: Number(value.replace('Inf', 'Infinity')) }
}

function unescaped(text: string): string {
  return text.replace(/\\(.)/g, (_all, mark: string) => (mark === 'n' ? '\n' : mark))
}
