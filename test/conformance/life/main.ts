// The command: `npm run conformance:life -- [--driver NAME]… [--against strata|pulsar] [--record]`.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { differences } from '../admin/normal.ts'
import { Driver } from '../driver.ts'
import { adminSpecs, NotAtHand } from '../drivers.ts'
import { targetOf } from '../targets.ts'
import { RequestLog } from './requests.ts'
import { answersOf, openAdmin, untouched, type Answers } from './runner.ts'
import { cliLife } from './scripts/cli.ts'
import { goLife } from './scripts/go.ts'
import { javaLife } from './scripts/java.ts'
import type { Life } from './step.ts'

const USAGE = `usage: npm run conformance:life -- [options]

A tenant's life, from creation to deletion, by an official admin library or tool, compared with what Apache Pulsar 5.0.0-M1 answered.

  --driver NAME    go, java, cli (default: each); may be repeated
  --against NAME   strata (default), pulsar, or WEB_URL,BROKER_URL of one that runs
  --record         keep the answers as those to compare with
  --lines N        lines shown of each difference (default 3)`

const OPTIONS = {
  driver: { type: 'string', multiple: true },
  against: { type: 'string', default: 'strata' },
  record: { type: 'boolean', default: false },
  lines: { type: 'string', default: '3' },
  help: { type: 'boolean', default: false }
} as const

const STRATA_SETTLE_MS = 1_000
const PULSAR_SETTLE_MS = 5_000

const lives: readonly Life[] = [goLife, javaLife, cliLife]

/** A decision that an answer may differ. @property calls A pattern over the keys of answers. */
interface Decision {
  readonly life: string
  readonly calls: string
  readonly why: string
  /** It is to be mended: counted by itself. */
  readonly isOpen?: true
}

const say = (text: string): void => {
  process.stdout.write(`${text}\n`)
}

/** A line an answer, so that a change is seen as what it is. */
async function write(path: string, answers: Answers): Promise<void> {
  const lines = Object.entries(answers).map(([key, answer]) => `${JSON.stringify(key)}: ${JSON.stringify(answer)}`)
  await writeFile(path, `{\n${lines.join(',\n')}\n}\n`)
}

/** @returns How many answers differ without a decision that they may. */
function compare(life: Life, expected: Answers, found: Answers, decisions: readonly Decision[], lines: number): number {
  const mine = decisions.filter(decision => decision.life === life.name)
  const counts = { alike: 0, decided: 0, open: 0, differ: 0 }
  for (const key of new Set([...Object.keys(expected), ...Object.keys(found)])) {
    const none = { status: -1 }
    const parts = differences(expected[key] ?? none, found[key] ?? none)
    const decision = mine.find(({ calls }) => new RegExp(`^(${calls})$`).test(key))
    if (parts.length === 0) counts.alike++
    else if (decision !== undefined) counts[decision.isOpen === true ? 'open' : 'decided']++
    else {
      counts.differ++
      say(
        `${life.name} ${key}\n${parts
          .slice(0, lines)
          .map(part => `    ${part}`)
          .join('\n')}`
      )
    }
  }
  const { alike, decided, open, differ } = counts
  say(`${life.name}: ${alike} answers alike, ${decided} differ as decided, ${open} are to be mended, ${differ} differ`)
  return differ
}

/** pulsarctl is made of the Go library: every request of it is one of the life's. */
async function requireRequests(life: Life, log: RequestLog, testFolder: string): Promise<void> {
  if (life.name !== 'go') return
  const file = join(testFolder, 'conformance', 'life', 'pulsarctl.json')
  const pairs = JSON.parse(await readFile(file, 'utf8')) as string[]
  const missing = log.missing(pairs)
  if (missing.length > 0) throw new Error(`requests of pulsarctl that the life does not make: ${missing.join(', ')}`)
  say(`${life.name}: the ${pairs.length} requests of pulsarctl are among them`)
}

async function lead(life: Life, against: string, testFolder: string): Promise<Answers> {
  const spec = adminSpecs.find(({ name }) => name === life.name)
  const [webUrl, brokerUrl] = against.split(',')
  const target = targetOf(against === 'pulsar' ? 'pulsar-next' : against, {
    ...{ testFolder, killBookiesMs: undefined },
    ...{ brokerUrl: against.startsWith('http') ? brokerUrl : undefined, webUrl }
  })
  if (target === undefined || spec === undefined) throw new Error(`there is no server ${against}`)
  const prepared = await spec.prepare(join(testFolder, 'conformance', 'drivers'))
  const driver = await Driver.start(prepared.command, prepared.environment)
  try {
    const server = await target.start('standalone') // as Apache Pulsar's runs here
    try {
      const started = Date.now()
      const log = await RequestLog.open(server.webUrl)
      const handle = await openAdmin(driver, { webUrl: log.url, brokerUrl: server.brokerUrl })
      const missing = await untouched(driver, handle, life)
      if (missing.length > 0) throw new Error(`${life.name}: calls that the life does not make: ${missing.join(', ')}`)
      const settleMs = against === 'strata' ? STRATA_SETTLE_MS : PULSAR_SETTLE_MS
      const answers = await answersOf(driver, handle, life, { ...server, settleMs })
      await log.close()
      await requireRequests(life, log, testFolder)
      const seconds = ((Date.now() - started) / 1000).toFixed(1)
      say(`${life.name} (${driver.version}): ${Object.keys(answers).length} calls in ${seconds} s`)
      return answers
    } finally {
      await server.stop()
    }
  } finally {
    await driver.stop()
  }
}

/** @returns 0 all alike, 1 not, 64 a bad command line, 69 a library is not at hand. */
export async function main(argv: readonly string[], { testFolder }: { testFolder: string }): Promise<number> {
  const { values } = parseArgs({ args: [...argv], options: OPTIONS })
  const chosen = lives.filter(({ name }) => values.driver?.includes(name) ?? true)
  if (values.help || chosen.length === 0) {
    say(USAGE)
    return values.help ? 0 : 64
  }
  const folder = join(testFolder, 'conformance', 'life')
  const decisions = JSON.parse(await readFile(join(folder, 'differences.json'), 'utf8')) as Decision[]
  let open = 0
  for (const life of chosen) {
    const recorded = join(folder, `recorded-${life.name}.json`)
    try {
      const found = await lead(life, values.against, testFolder)
      if (values.record) await write(recorded, found)
      else {
        const expected = JSON.parse(await readFile(recorded, 'utf8')) as Answers
        open += compare(life, expected, found, decisions, Number(values.lines))
      }
    } catch (error) {
      if (!(error instanceof NotAtHand)) throw error
      say(`${life.name}: not run: ${error.message}`)
      return 69
    }
  }
  return open === 0 ? 0 : 1
}
