// The command: `npm run conformance:schemas -- [--against strata|pulsar|pulsar-next] [--write]`.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { compatibilityCases, decisions, type PulsarAnswer } from '@strata/schema/testing'
import { Admin } from '../http.ts'
import { targetOf } from '../targets.ts'
import { askAll } from './ask.ts'

const USAGE = `usage: npm run conformance:schemas -- [options]

  --against NAME      strata (the default), pulsar or pulsar-next; or a running broker:
  --broker-url URL    its binary address, together with
  --web-url URL       its HTTP address
  --only TEXT         cases whose name holds TEXT
  --write             make what it answers the table (an Apache Pulsar's answers)`

const OPTIONS = {
  against: { type: 'string', default: 'strata' },
  'broker-url': { type: 'string' },
  'web-url': { type: 'string' },
  only: { type: 'string', default: '' },
  write: { type: 'boolean', default: false }
} as const

const say = (text: string): void => {
  process.stdout.write(`${text}\n`)
}

/** @returns The exit code: 0 the server answers as the table says, 1 it does not, 64 a bad command line. */
export async function main(argv: readonly string[], { testFolder }: { testFolder: string }): Promise<number> {
  const { values } = parseArgs({ args: [...argv], options: OPTIONS })
  const target = targetOf(values.against, {
    ...{ testFolder, killBookiesMs: undefined },
    ...{ brokerUrl: values['broker-url'], webUrl: values['web-url'] }
  })
  if (target === undefined) {
    say(USAGE)
    return 64
  }
  const cases = compatibilityCases.filter(({ name }) => name.includes(values.only))
  const running = await target.start('default')
  let answers: Record<string, PulsarAnswer>
  try {
    answers = await askAll(new Admin(running.webUrl), cases)
  } finally {
    await running.stop()
  }
  const path = join(testFolder, '..', 'libs', 'schema', 'src', 'testing', 'pulsar-answers.json')
  if (values.write) {
    const lines = Object.entries(answers).map(
      ([name, answer]) => `  ${JSON.stringify(name)}: ${JSON.stringify(answer)}`
    )
    await writeFile(path, `{\n${lines.join(',\n')}\n}\n`)
    return 0
  }
  const table = JSON.parse(await readFile(path, 'utf8')) as Record<string, PulsarAnswer>
  const isOurs = values.against.startsWith('strata')
  const expected = (name: string): string => shown({ ...table[name], ...(isOurs ? decisions[name]?.ours : {}) })
  const different = cases.filter(({ name }) => shown(answers[name]) !== expected(name))
  for (const { name } of different) say(`${name}\n  table:  ${expected(name)}\n  answer: ${shown(answers[name])}`)
  const decided = isOurs ? `, ${Object.keys(decisions).length} of them by decision otherwise than Apache Pulsar` : ''
  say(`${cases.length} cases, ${different.length} answered otherwise than expected${decided}`)
  return different.length === 0 ? 0 : 1
}

/** What is compared. How a server says no is not: Apache Pulsar does with 500. */
function shown(answer: Partial<PulsarAnswer> | undefined): string {
  return JSON.stringify([answer?.fits, answer?.version, answer?.added])
}
