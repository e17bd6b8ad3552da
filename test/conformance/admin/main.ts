// The command: `npm run conformance:admin -- --against strata pulsar`.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { targetOf } from '../targets.ts'
import { compareAll, differencesList, isOpen, totalsTable, type Decision, type PairResult } from './report.ts'
import { answersOf, type Answers, type OnAnswers } from './runner.ts'
import { pairs } from './pairs.ts'
import { alone, beside, unasked } from './table.ts'

const USAGE = `usage: npm run conformance:admin -- [--against [SERVER] ORACLE] [options]

  SERVER, ORACLE  strata, pulsar (5.0.0-M1), pulsar-4 (4.0.8), recorded (what Pulsar answered when it was recorded),
                  or a running one: http://HOST:PORT,pulsar://HOST:PORT (default: strata recorded)
  --record        ask an Apache Pulsar alone, and keep its answers as recorded; with --only, beside the others
  --only TEXTS    scripts whose name, or of whose pairs one, holds one of them; commas between
  --json FILE     write the differences there
  --lines N       how many differences of a pair are printed (default 1)
  --gate          fail for a pair that differs and is not in open.json; without it, for any that differs
  --write-open    write the pairs that differ to open.json`

const OPTIONS = {
  against: { type: 'boolean', default: true },
  record: { type: 'boolean', default: false },
  only: { type: 'string' },
  json: { type: 'string' },
  lines: { type: 'string', default: '1' },
  gate: { type: 'boolean', default: false },
  'write-open': { type: 'boolean', default: false },
  help: { type: 'boolean', default: false }
} as const

const AT_ONCE = 6
const PULSAR_SETTLE_MS = 3000
const STRATA_SETTLE_MS = 300

const say = (text: string): void => {
  process.stdout.write(`${text}\n`)
}

class Files {
  readonly #folder: string

  constructor(testFolder: string) {
    this.#folder = join(testFolder, 'conformance', 'admin')
  }

  async read<Shape>(name: string): Promise<Shape> {
    return JSON.parse(await readFile(join(this.#folder, name), 'utf8')) as Shape
  }

  /** A line an item, so that a change is seen as what it is. */
  async write(name: string, value: object): Promise<void> {
    const isList = Array.isArray(value)
    const lines = isList
      ? value.map(item => JSON.stringify(item))
      : Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${JSON.stringify(item)}`)
    const [open, close] = isList ? ['[', ']'] : ['{', '}']
    await writeFile(join(this.#folder, name), `${open}\n${lines.join(',\n')}\n${close}\n`)
  }
}

interface Asking {
  readonly only: string | undefined
  readonly testFolder: string
  readonly onAnswers?: OnAnswers
}

/** @throws for a name that is none */
async function ask(name: string, { only, testFolder, onAnswers }: Asking): Promise<Answers> {
  const texts = only?.split(',') ?? ['']
  const isMeant = ({ name, steps }: (typeof alone)[number]): boolean =>
    texts.some(text => name.includes(text) || steps.some(step => step.kind === 'ask' && step.pair.includes(text)))
  const chosen = (scripts: typeof alone): typeof alone => scripts.filter(isMeant)
  if (name === 'recorded') return await new Files(testFolder).read<Answers>('recorded.json')
  const [webUrl = '', brokerUrl = ''] = name.startsWith('http') ? name.split(',') : []
  const running = brokerUrl === '' ? {} : { brokerUrl, webUrl }
  const against = { pulsar: 'pulsar-next', 'pulsar-4': 'pulsar' }[name] ?? name
  const target = targetOf(against, {
    testFolder,
    brokerUrl: undefined,
    webUrl: undefined,
    killBookiesMs: undefined,
    ...running
  })
  if (target === undefined) throw new Error(`there is no server ${name}`)
  const server = await target.start('standalone')
  try {
    const settleMs = name === 'strata' ? STRATA_SETTLE_MS : PULSAR_SETTLE_MS
    const asked = { ...server, settleMs }
    const answers = await answersOf(asked, chosen(beside), { atOnce: AT_ONCE, onAnswers })
    const withThose: OnAnswers = so => onAnswers?.({ ...answers, ...so }) ?? Promise.resolve()
    return { ...answers, ...(await answersOf(asked, chosen(alone), { atOnce: 1, onAnswers: withThose })) }
  } finally {
    await server.stop()
  }
}

/** @returns Whether the gate lets them pass. */
async function conclude(
  results: readonly PairResult[],
  values: { gate: boolean; 'write-open': boolean; json?: string | undefined; lines: string },
  files: Files
): Promise<boolean> {
  if (values.json !== undefined) await writeFile(values.json, JSON.stringify(results, null, 1))
  const differing = results.filter(isOpen)
  if (values['write-open'])
    await files.write(
      'open.json',
      differing.map(({ pair }) => pair)
    )
  const open = values.gate ? new Set(await files.read<string[]>('open.json')) : new Set<string>()
  const shown = results.filter(({ pair }) => !open.has(pair))
  const list = differencesList(shown, Number(values.lines))
  if (list !== '') say(list)
  say(totalsTable(results))
  const mended = [...open].filter(pair => !differing.some(result => result.pair === pair))
  if (mended.length > 0) say(`in open.json, and answered alike: ${mended.join(', ')}`)
  return differing.every(({ pair }) => open.has(pair))
}

/** One name is the oracle of Strata, or who is recorded. */
function serversOf([first, second]: readonly string[], isRecording: boolean): [string, string] {
  if (isRecording) return [first ?? 'pulsar', 'recorded']
  return second === undefined ? ['strata', first ?? 'recorded'] : [first ?? 'strata', second]
}

/** @returns 0 all alike, 1 not, 64 a bad command line. */
export async function main(argv: readonly string[], { testFolder }: { testFolder: string }): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true })
  const files = new Files(testFolder)
  const [server, oracle] = serversOf(positionals, values.record)
  const gaps = unasked()
  if (values.help || positionals.length > 2) {
    say(USAGE)
    return values.help ? 0 : 64
  }
  if (gaps.length > 0) {
    say(`pairs without a request: ${gaps.join(', ')}`)
    return 1
  }
  // an oracle is slow to answer: what it has said is not lost when it ends early
  const before = values.record && values.only !== undefined ? await files.read<Answers>('recorded.json') : {}
  const keep = (so: Answers): Promise<void> => files.write('recorded.json', { ...before, ...so })
  const onAnswers = values.record ? keep : undefined
  const asking = { only: values.only, testFolder }
  const found = await ask(server, { ...asking, ...(onAnswers === undefined ? {} : { onAnswers }) })
  if (values.record) {
    const silent = Object.values(found).filter(({ status }) => status === 0).length
    if (silent * 20 > Object.keys(found).length) {
      say(`${silent} requests were not answered: nothing to compare with`)
      return 1
    }
    await keep(found)
    say(`${Object.keys(found).length} answers of ${pairs.length} pairs recorded`)
    return 0
  }
  const expected = await ask(oracle, asking)
  const decisions = await files.read<Decision[]>('differences.json')
  const results = compareAll(expected, found, decisions)
  return (await conclude(
    results.filter(({ requests }) => requests > 0),
    values,
    files
  ))
    ? 0
    : 1
}
