import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'vitest'
import { ROOT } from '../tidy/repository.ts'

/** What a process wrote that logged `lines` lines of `bytes`; nothing of them is read before it said that it is done with that. */
async function logged(lines: number, bytes: number): Promise<Record<string, unknown>[]> {
  const child = fork(join(ROOT, 'test', 'integration', 'log-writer.mjs'), [String(lines), String(bytes)], {
    execArgv: [],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc']
  })
  try {
    await once(child, 'message')
    const read: Buffer[] = []
    child.stderr?.on('data', (chunk: Buffer) => read.push(chunk))
    const closed = once(child, 'close')
    child.send('end')
    await closed
    const text = Buffer.concat(read).toString().trimEnd()
    return text.split('\n').map(line => JSON.parse(line) as Record<string, unknown>)
  } finally {
    child.kill('SIGKILL')
  }
}

test('who does not read the log keeps nobody waiting, and finds every line, in order', async () => {
  const lines = await logged(2000, 500)
  assert.deepEqual(
    lines.map(({ n }) => n),
    Array.from({ length: 2000 }, (_, n) => n)
  )
})

test('what is past the bound of unread lines is dropped, whole lines at a time, and told', async () => {
  const lines = await logged(12_000, 1000)
  const told = lines.filter(({ event }) => event === 'log.lines_dropped')
  const dropped = told.reduce((sum, line) => sum + Number(line['lines']), 0)
  assert.ok(dropped > 0)
  assert.equal(lines.length - told.length + dropped, 12_000)
})
