import { strict as assert } from 'node:assert'
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import ts from 'typescript'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { driverSpecs, NotAtHand } from '../conformance/drivers.ts'
import { startCommand, type RunningCommand } from '../support/strata-command.ts'
import { ROOT } from '../tidy/repository.ts'

const README = readFileSync(join(ROOT, 'README.md'), 'utf8')
const README_URL = 'pulsar://localhost:6650'

interface Block {
  readonly language: string
  readonly code: string
}

const blocks: readonly Block[] = [...README.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(
  ([, language = '', code = '']) => ({
    language,
    code
  })
)

/** Lines of the shell blocks: what a newcomer types, in order. */
const commands = blocks.filter(({ language }) => language === 'sh').flatMap(({ code }) => code.trim().split('\n'))

function onlyBlock(language: string): string {
  const found = blocks.filter(block => block.language === language)
  assert.equal(found.length, 1, `README.md has ${found.length} blocks of ${language}`)
  const code = found[0]?.code ?? ''
  assert(code.includes(README_URL), `the block of ${language} connects to something else than ${README_URL}`)
  return code
}

const directory = mkdtempSync(join(tmpdir(), 'strata-'))
let server: RunningCommand
let printed: readonly string[]
let brokerUrl: string

/** `npm start` in its own process group, as a terminal has it: Ctrl-C reaches npm and the server alike. */
beforeAll(async () => {
  assert(commands.includes('npm start'))
  server = startCommand(['npm', 'start'], {
    cwd: ROOT,
    group: true,
    env: { STRATA_DATA: join(directory, 'data'), STRATA_BROKER_SERVICE_PORT: '0', STRATA_WEB_SERVICE_PORT: '0' }
  })
  printed = await server.linesUntil(/^ {2}stop /)
  brokerUrl = /pulsar:\/\/\S+/.exec(printed.join('\n'))?.[0] ?? ''
})

afterAll(async () => {
  assert(server.child.pid !== undefined)
  process.kill(-server.child.pid, 'SIGINT')
  // npm itself ends by the signal, so what the server did is in its log; both are gone when their output is closed
  assert.match((await server.ended).stderr, /"event":"broker\.closed"/)
  rmSync(directory, { recursive: true, force: true })
})

describe('the first page', () => {
  test('has no command that is not run here', () => {
    const known = [/^npm ci$/, /^npm start$/, /^npx strata (produce|consume) /]
    for (const command of commands)
      assert(
        known.some(form => form.test(command)),
        `README.md: nobody runs ${command}`
      )
    const languages = new Set(blocks.map(({ language }) => language))
    assert.deepEqual([...languages].sort(), ['python', 'sh', 'ts'])
    const gate = readFileSync(join(ROOT, '.ci', 'run'), 'utf8')
    assert.match(gate, /^stage install npm ci$/m, 'npm ci is run by the gate')
  })

  test('npm start prints where to connect, where data is, and a first command', async () => {
    const text = printed.join('\n')
    assert(text.includes(join(directory, 'data')), text)
    assert.match(text, /from this machine only/)
    const [, admin = ''] = /admin +(\S+)/.exec(text) ?? []
    const status = await fetch(`${admin}/status.html`)
    assert.equal(status.status, 200)
    const [, first = ''] = /try +(npx strata produce .*)/.exec(text) ?? []
    assert.match((await shell(first)).stdout, /^published 1 message/)
  })

  test('the command line sends and gets a first message', async () => {
    const lines = commands.filter(command => command.startsWith('npx strata'))
    const [produce = '', consume = ''] = lines
    assert.equal(lines.length, 2)
    assert.match((await shell(produce)).stdout, /^published 1 message/)
    assert.equal((await shell(consume)).stdout, 'hello\n')
  })

  test('the TypeScript block compiles under our own strictness and runs', async () => {
    const script = compile(onlyBlock('ts').replaceAll(README_URL, brokerUrl))
    const { code, stdout, stderr } = await startCommand([process.execPath, script]).ended
    assert.equal(code, 0, stderr)
    assert.match(stdout, /^hello/)
  })

  test('the Python block runs, where Python is', async () => {
    const python = await pythonWithClient()
    if (python === undefined) return
    const { code, stdout, stderr } = await startCommand([
      python,
      '-c',
      onlyBlock('python').replaceAll(README_URL, brokerUrl)
    ]).ended
    assert.equal(code, 0, stderr)
    assert.match(stdout, /b'hello/)
  }, 900_000)

  test('links to files that there are', () => {
    for (const [, path = ''] of README.matchAll(/\]\(([^)#]+)\)/g)) {
      assert(ts.sys.fileExists(join(ROOT, path)), `README.md links to ${path}`)
    }
  })
})

/** As typed at the root of the repository, against the server that runs here. */
async function shell(line: string): Promise<{ stdout: string }> {
  // npx must find the command in the tree, never fetch one of that name
  const env = { STRATA_URL: brokerUrl, npm_config_yes: 'false', npm_config_offline: 'true' }
  const ended = await startCommand(['sh', '-c', line], { cwd: ROOT, env }).ended
  assert.equal(ended.code, 0, `${line}: ${ended.stdout}${ended.stderr}`)
  return ended
}

/** Checks and compiles in a package that has our packages at hand; returns the script's path. */
function compile(code: string): string {
  symlinkSync(join(ROOT, 'node_modules'), join(directory, 'node_modules'))
  writeFileSync(join(directory, 'package.json'), '{ "type": "module" }')
  const source = join(directory, 'first.ts')
  writeFileSync(source, code)
  const program = ts.createProgram([source], {
    strict: true,
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    types: ['node'],
    typeRoots: [join(ROOT, 'node_modules', '@types')],
    skipLibCheck: true
  })
  program.emit()
  const problems = ts
    .getPreEmitDiagnostics(program)
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))
  assert.deepEqual(problems, [])
  return join(directory, 'first.js')
}

/** The interpreter that has Apache's client; undefined, and told, where it cannot be had on this machine. */
async function pythonWithClient(): Promise<string | undefined> {
  const spec = driverSpecs.find(({ name }) => name === 'python')
  assert(spec !== undefined)
  try {
    return (await spec.prepare(join(ROOT, 'test', 'conformance', 'drivers'))).command[0]
  } catch (error) {
    if (!(error instanceof NotAtHand)) throw error
    process.stderr.write(`not run: the Python block of README.md: ${error.message}\n`)
    return undefined
  }
}
