// `npm test`: every stage that this machine can run, fast ones first, with one line of totals at the end.
// What needs a toolchain that is missing is named as not run, with what to install; `--require-all` makes that a failure.
import { spawn, spawnSync } from 'node:child_process'
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const requireAll = process.argv.includes('--require-all')
const work = mkdtempSync(join(tmpdir(), 'strata-test-'))
const totals = { passed: 0, failed: 0 }
const notRun = []
const times = []
/** What failed, with the first lines of why: told again at the end, where the end of a long log is all that is kept. */
const failures = []

const bin = name => join(root, 'node_modules', '.bin', name)
const has = (command, args = ['--version']) => spawnSync(command, args, { stdio: 'ignore' }).status === 0

function run(command, args) {
  return new Promise(resolve => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
    child.on('error', () => resolve(127))
    child.on('exit', (code, signal) => resolve(signal === null ? code : 1))
  })
}

async function stage(name, body) {
  const startedAt = performance.now()
  process.stdout.write(`\n== ${name}\n`)
  const { passed, failed } = await body()
  totals.passed += passed
  totals.failed += failed
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  times.push({ name, seconds, passed, failed })
  process.stdout.write(`== ${name}: ${passed} passed, ${failed} failed, ${seconds} s\n`)
}

/**
 * Stages that want nothing but a processor run one after another beside the others, at the lowest priority: those wait for clocks,
 * disks and other processes half of the time. What they print is shown when they are done.
 */
const beside = { done: Promise.resolve(), children: new Set() }
process.once('exit', () => beside.children.forEach(child => child.kill()))

function stageBeside(name, args) {
  const log = join(work, `${name.replaceAll(/\W+/g, '-')}.log`)
  beside.done = beside.done.then(async () => {
    const startedAt = performance.now()
    const code = await runQuietly(args, log)
    const { passed, failed } = asOne(code)
    totals.passed += passed
    totals.failed += failed
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
    times.push({ name, seconds, passed, failed })
    process.stdout.write(`\n== ${name} (beside others)\n${readFileSync(log, 'utf8')}`)
    process.stdout.write(`== ${name}: ${passed} passed, ${failed} failed, ${seconds} s\n`)
  })
}

function runQuietly(args, log) {
  const output = openSync(log, 'w')
  return new Promise(resolve => {
    const child = spawn('nice', ['-n', '19', process.execPath, ...args], {
      cwd: root,
      stdio: ['ignore', output, output]
    })
    beside.children.add(child)
    child.on('error', () => resolve(127))
    child.on('exit', (code, signal) => resolve(signal === null ? code : 1))
  }).finally(() => closeSync(output))
}

const asOne = code => (code === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 })

async function vitest(folders) {
  const report = join(work, `vitest-${times.length}.json`)
  const code = await run(bin('vitest'), [
    'run',
    ...folders,
    '--reporter=default',
    '--reporter=json',
    `--outputFile=${report}`
  ])
  if (!existsSync(report)) return { passed: 0, failed: 1 }
  const { numPassedTests, numFailedTests, numTotalTests, testResults } = JSON.parse(readFileSync(report, 'utf8'))
  testResults.forEach(file => failures.push(...failuresOf(file)))
  // A file that does not load has no tests of its own: the exit code tells.
  const failed = numFailedTests + (code !== 0 && numFailedTests === 0 ? 1 : 0) + (numTotalTests === 0 ? 1 : 0)
  return { passed: numPassedTests, failed }
}

function failuresOf({ name, status, message, assertionResults }) {
  const file = relative(root, name)
  const failed = assertionResults.filter(test => test.status === 'failed')
  if (failed.length === 0) return status === 'failed' ? [`${file}\n${firstLines(message)}`] : []
  return failed.map(test => `${file} > ${test.fullName}\n${firstLines(test.failureMessages.join('\n'))}`)
}

const firstLines = text => text.split('\n', 12).join('\n')

async function conformance(driver, against = ['strata']) {
  const report = join(work, `conformance-${driver}-${against[0]}.json`)
  const args = ['test/conformance/run.mjs', '--against', ...against, '--driver', driver, '--json', report]
  const code = await run(process.execPath, args)
  if (!existsSync(report)) return { passed: 0, failed: 1 }
  const { passed, failed } = JSON.parse(readFileSync(report, 'utf8'))
  return { passed, failed: failed + (code !== 0 && failed === 0 ? 1 : 0) + (passed + failed === 0 ? 1 : 0) }
}

/** Whose admin libraries and tools lead a tenant's life. */
const livesOf = { go: ['go'], java: ['java', 'cli'] }
const foreign = [
  { driver: 'python', ready: () => has('python3'), install: 'Python 3 with venv and pip' },
  { driver: 'go', ready: () => has('go', ['version']), install: 'Go 1.24 or newer' },
  { driver: 'java', ready: () => has('mvn') && has('javac', ['-version']), install: 'a JDK of 17 or newer, and Maven' }
]

await stage('build', async () => asOne(await run(bin('tsc'), ['-b'])))
await stage('tidy and unit', () => vitest(['libs', 'services', 'test/tidy']))
await stage('simulation', () => vitest(['test/sim']))
// Not beside others: how long so many take on this machine is of interest.
await stage('simulation: seeds', async () =>
  asOne(await run(process.execPath, ['test/sim/run.mjs', '--seeds', '20000', '--gate']))
)
stageBeside('simulation: mutants', ['test/sim/run-mutants.mjs'])
await stage('simulation: ownership', async () =>
  asOne(await run(process.execPath, ['test/sim-ownership/run.mjs', '--seeds', '150']))
)
await stage('integration', () => vitest(['test/integration']))
await stage('conformance: strata', () => conformance('strata'))
await stage('conformance: admin', async () =>
  asOne(await run(process.execPath, ['test/conformance/admin/run.mjs', '--gate', '--lines', '5']))
)
await stage('conformance: proxy', () => conformance('strata', ['strata-proxy']))
const fetches = script =>
  spawnSync(join(root, script), ['install'], { stdio: ['ignore', 'ignore', 'inherit'] }).status === 0
if (fetches('test/explorer/tlc')) await stage('model of the protocol', () => vitest(['test/explorer']))
else notRun.push('the ledger protocol as a model: install a JDK of 17 or newer, and Maven')
const hasEtcd = fetches('test/peers/etcd')
if (hasEtcd) {
  await stage('metadata on etcd', () => vitest(['test/etcd']))
  await stage('chaos', () => vitest(['test/chaos']))
  await stage('conformance: cluster', () => conformance('strata', ['strata-cluster', '--kill-bookies', '10']))
} else notRun.push('metadata on a real etcd, and chaos over it: install Go 1.23 or newer')
for (const { driver, ready, install } of foreign) {
  if (ready()) {
    await stage(`conformance: ${driver}`, () => conformance(driver))
    for (const by of livesOf[driver] ?? []) {
      await stage(`life of a tenant: ${by}`, async () =>
        asOne(await run(process.execPath, ['test/conformance/life/run.mjs', '--driver', by]))
      )
    }
  } else notRun.push(`conformance with the ${driver} client: install ${install}`)
}
const languages = foreign.filter(({ ready }) => ready()).map(({ driver }) => driver)
if (hasEtcd && languages.length > 0) {
  process.env['STRATA_TEST_FAILOVER_LANGUAGES'] = languages.join(',')
  await stage('failover', () => vitest(['test/failover']))
} else notRun.push('brokers that fail under published clients: install Go 1.23 or newer, and one of those clients')
await beside.done
rmSync(work, { recursive: true, force: true })

process.stdout.write('\n')
for (const { name, seconds, passed, failed } of times) {
  process.stdout.write(`${name.padEnd(28)} ${seconds.padStart(7)} s  ${passed} passed, ${failed} failed\n`)
}
for (const failure of failures) process.stdout.write(`failed: ${failure}\n`)
for (const line of notRun) process.stdout.write(`not run: ${line}\n`)
if (requireAll) totals.failed += notRun.length
process.stdout.write(`${totals.passed} passed, ${totals.failed} failed\n`)
process.exitCode = totals.failed === 0 ? 0 : 1
