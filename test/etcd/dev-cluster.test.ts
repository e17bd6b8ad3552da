import { strict as assert } from 'node:assert'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, describe, test } from 'vitest'
import { startStrataCommand, type Ended, type RunningCommand } from '../support/strata-command.ts'
import { assertWhole, PublishLoad } from './broker-load.ts'
import { SCRIPTS, START_TIMEOUT_MS } from './etcd-store.ts'

const TOPICS = ['persistent://public/default/one']
/** Of each process, when a test fails. */
const TOLD_LINES = 30
const KEPT = ['defaultRetentionTimeInMinutes=-1', 'defaultRetentionSizeInMB=-1']

interface Member {
  readonly name: string
  readonly kind: string
  readonly id: string
  readonly pid: number
  readonly address: string
  readonly http: string
}

interface Ready {
  readonly event: 'ready'
  readonly metadataUrl: string
  readonly members: readonly Member[]
}

let etcdBinary: string
beforeAll(() => {
  etcdBinary = execFileSync(join(SCRIPTS, 'etcd'), ['install'], { encoding: 'utf8' }).trim()
}, START_TIMEOUT_MS)

let data: string
let running: RunningCommand | undefined
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'strata-dev-'))
})
afterEach(async ({ task }) => {
  if (task.result?.state === 'fail') tellWhatTheySaid()
  if (running?.child.exitCode === null) {
    // twice: at once, with everything that it started
    running.child.kill('SIGINT')
    running.child.kill('SIGTERM')
    await running.ended
  }
  running = undefined
  rmSync(data, { recursive: true, force: true })
})

/** What its processes said is gone with the directory. */
function tellWhatTheySaid(): void {
  const logs = join(data, 'logs')
  for (const name of existsSync(logs) ? readdirSync(logs) : []) {
    const lines = readFileSync(join(logs, name), 'utf8').trim().split('\n')
    process.stderr.write(`${name}\n${lines.slice(-TOLD_LINES).join('\n')}\n`)
  }
}

async function start(flags: readonly string[]): Promise<Ready> {
  const kept = KEPT.flatMap(set => ['--broker-set', set])
  const command = ['dev-cluster', '--json', '--data', data, '--etcd-binary', etcdBinary, ...kept, ...flags]
  running = startStrataCommand(command)
  const lines = await running.linesUntil(/"event":"ready"/)
  return JSON.parse(lines.at(-1) ?? '') as Ready
}

async function stop(): Promise<Ended> {
  assert(running !== undefined)
  running.child.kill('SIGINT')
  return running.ended
}

/** Of all of them: a client takes the next one where one does not answer. */
function brokersUrl({ members }: Ready): string {
  const brokers = members.filter(({ kind }) => kind === 'broker')
  return `pulsar://${brokers.map(({ address }) => address.replace('pulsar://', '')).join(',')}`
}

const isRunning = (pid: number): boolean => existsSync(`/proc/${pid}`)

/** Everybody knows level 1, and there is nothing to finalize. */
async function checkLevels({ metadataUrl, members }: Ready): Promise<void> {
  const json = async (command: string): Promise<Record<string, unknown>> => {
    const { code, stdout, stderr } = await startStrataCommand(['upgrade', command, '--metadata', metadataUrl, '--json'])
      .ended
    assert.equal(code, 0, stderr)
    return JSON.parse(stdout) as Record<string, unknown>
  }
  const { level, possible, nodes, away } = await json('status')
  assert.deepEqual([level, possible, away], [1, 1, []])
  const told = nodes as { kind: string; levels: { max: number } }[]
  assert.equal(told.length, members.filter(({ kind }) => kind !== 'etcd').length)
  assert(told.every(({ levels }) => levels.max === 1))
  assert.deepEqual(await json('finalize'), { level: 1, was: 1, changed: false })
}

interface Event {
  readonly event: string
  readonly kind?: string
  readonly id?: string
}

async function rollingRestart(...flags: string[]): Promise<Event[]> {
  const { code, stdout, stderr } = await startStrataCommand([
    'rolling-restart',
    '--dev-cluster',
    data,
    '--settle',
    '1s',
    '--json',
    ...flags
  ]).ended
  assert.equal(code, 0, `${stdout}${stderr}`)
  return stdout
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as Event)
}

describe('a cluster on one machine', () => {
  test('is restarted node by node under load, and is all there when it starts again', async () => {
    const ready = await start(['--bookies', '3', '--brokers', '2'])
    const names = ['etcd-1', 'bookie-1', 'bookie-2', 'bookie-3', 'broker-1', 'broker-2']
    assert.deepEqual(
      ready.members.map(({ name }) => name),
      names
    )
    await checkLevels(ready)
    const load = new PublishLoad(brokersUrl(ready))
    await load.start(TOPICS)
    await load.flows(200)
    const events = await rollingRestart()
    const restarted = events.filter(({ event }) => event === 'restarted').map(({ kind }) => kind)
    assert.deepEqual(restarted, ['bookie', 'bookie', 'bookie', 'broker', 'broker'])
    const before = ready.members.filter(({ kind }) => kind !== 'etcd')
    assert(before.every(({ pid }) => !isRunning(pid)))
    await load.flows(200)
    await load.stop()
    assert.deepEqual(load.failures, [])
    const { code, stderr } = await stop()
    assert.deepEqual([code, stderr], [0, ''])
    assert(ready.members.every(({ pid }) => !isRunning(pid)))

    const again = await start(['--bookies', '3', '--brokers', '1'])
    const addresses = ({ members }: Ready): string[] => members.map(({ address, http }) => `${address} ${http}`)
    assert.deepEqual(addresses(again), addresses(ready).slice(0, -1))
    await assertWhole(brokersUrl(again), TOPICS, load.acknowledged)
  }, 600_000)

  test('a data directory belongs to one; a taken port, a missing etcd and a process that dies are one line each', async () => {
    const ready = await start(['--bookies', '1', '--brokers', '0'])
    const refused = async (line: RegExp, code: number, ...flags: string[]): Promise<void> => {
      const ended = await startStrataCommand(['dev-cluster', ...flags]).ended
      assert.deepEqual([ended.code, ended.stderr.trim().split('\n').length], [code, 1], ended.stderr)
      assert.match(ended.stderr, line)
    }
    await refused(/in use by process \d+: stop it/, 1, '--data', data, '--etcd-binary', etcdBinary)
    await refused(/is no program/, 1, '--data', join(data, 'none'), '--etcd-binary', '/nowhere/etcd')
    // that of our etcd, which would answer for the one that could not start
    const [port = ''] = /\d+$/.exec(ready.members[0]?.address ?? '') ?? []
    const other = ['--bookies', '1', '--brokers', '0', '--data', join(data, 'other'), '--etcd-binary', etcdBinary]
    await refused(new RegExp(`etcd-1 cannot have 127.0.0.1:${port} .*--base-port`), 1, ...other, '--base-port', port)
    await refused(/bookie-1 ended with code 78 \(.+\): see .*\.log\n$/, 1, ...other, '--bookie-set', 'bookiePort=x')
    const { code } = await startStrataCommand(['rolling-restart', '--dev-cluster', join(data, 'other')]).ended
    assert.equal(code, 1)
    process.kill(ready.members[1]?.pid ?? 0, 'SIGKILL')
    const [line] = (await running?.linesUntil(/"event":"ended"/))?.slice(-1) ?? []
    assert.match(line ?? '', /"name":"bookie-1".*ended by SIGKILL/)
  }, 600_000)
})
