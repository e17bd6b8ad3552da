import { strict as assert } from 'node:assert'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeAll, beforeEach, test } from 'vitest'
import { until } from '../integration/bounds-support.ts'
import { startStrataCommand, type RunningCommand } from '../support/strata-command.ts'
import { SCRIPTS, START_TIMEOUT_MS } from './etcd-store.ts'

interface Ready {
  readonly members: readonly {
    readonly name: string
    readonly kind: string
    readonly pid: number
    readonly log: string
  }[]
}

let etcdBinary: string
beforeAll(() => {
  etcdBinary = execFileSync(join(SCRIPTS, 'etcd'), ['install'], { encoding: 'utf8' }).trim()
}, START_TIMEOUT_MS)

let data: string
let running: RunningCommand | undefined
let pids: number[] = []
beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), 'strata-orphans-'))
})
afterEach(() => {
  running?.child.kill('SIGKILL')
  for (const pid of pids.filter(isRunning)) process.kill(pid, 'SIGKILL')
  rmSync(data, { recursive: true, force: true })
})

/** One that nobody has asked for its exit code yet has ended, too. */
function isRunning(pid: number): boolean {
  if (!existsSync(`/proc/${pid}`)) return false
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return !stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z')
  } catch {
    return false
  }
}

test('a dev cluster that is killed leaves no process behind: they end in order', async () => {
  const flags = ['--brokers', '1', '--bookies', '1', '--data', data, '--etcd-binary', etcdBinary]
  running = startStrataCommand(['dev-cluster', '--json', ...flags])
  const lines = await running.linesUntil(/"event":"ready"/)
  const { members } = JSON.parse(lines.at(-1) ?? '') as Ready
  pids = members.map(({ pid }) => pid)
  assert.equal(pids.filter(isRunning).length, 3)
  running.child.kill('SIGKILL')
  await until('all of them have ended', 90_000, () => Promise.resolve(!pids.some(isRunning)))
  // each had what it stands on for as long as it needed it
  const broker = readFileSync(members.find(({ kind }) => kind === 'broker')?.log ?? '', 'utf8')
  assert.match(broker, /broker\.closed/)
  assert.doesNotMatch(broker, /broker\.drain_failed|revoke_failed/)
}, 240_000)
