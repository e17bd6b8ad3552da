import { strict as assert } from 'node:assert'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'vitest'
import { ROOT } from '../tidy/repository.ts'

const SCRIPT = join(ROOT, 'services', 'cli', 'dist', 'dev-cluster', 'keeper-child.js')
/** Ends a moment after it was asked to, as who has something to hand over. */
const SLOW = `process.on('SIGTERM', () => setTimeout(() => process.exit(0), 200)); setInterval(() => {}, 1000); console.log('up')`

let keeper: ChildProcess
const children: ChildProcess[] = []
beforeEach(async () => {
  const started = spawn(process.execPath, [SCRIPT], { stdio: ['pipe', 'pipe', 'inherit'] })
  keeper = started
  await once(started.stdout, 'data')
})
afterEach(() => {
  keeper.kill('SIGKILL')
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

async function startSlow(): Promise<{ pid: number; ended: Promise<number> }> {
  const child = spawn(process.execPath, ['-e', SLOW], { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  assert(child.pid !== undefined)
  await once(child.stdout, 'data')
  return { pid: child.pid, ended: once(child, 'exit').then(() => performance.now()) }
}

test('stops what is left when the command is gone, turn after turn, and nothing that ended before', async () => {
  const [last, first, spared] = await Promise.all([startSlow(), startSlow(), startSlow()])
  for (const line of [`+ 2 ${last.pid}`, `+ 0 ${first.pid}`, `+ 1 ${spared.pid}`, `- 0 ${spared.pid}`]) {
    keeper.stdin?.write(`${line}\n`)
  }
  keeper.kill('SIGINT') // a terminal's, which is for the command
  const exited = once(keeper, 'exit')
  keeper.stdin?.end()
  const [firstMs, lastMs] = await Promise.all([first.ended, last.ended])
  assert(lastMs - firstMs > 100, `one after another: ${lastMs - firstMs} ms between them`)
  assert.deepEqual(await exited, [0, null])
  process.kill(spared.pid, 0)
})

test('ends at once where nothing is left', async () => {
  const exited = once(keeper, 'exit')
  keeper.stdin?.end()
  assert.deepEqual(await exited, [0, null])
})
