import { strict as assert } from 'node:assert'
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, test } from 'vitest'

const BUILT = fileURLToPath(new URL('../dist/background-collection.js', import.meta.url))

/** What a process says that runs these lines, with V8's lines about its marking. */
function run(lines: string): string {
  const script = `import { collectInBackground } from ${JSON.stringify(BUILT)}\n${lines}`
  const flags = ['--trace-incremental-marking', '--heap-growing-percent=400', '--input-type=module']
  return execFileSync(process.execPath, [...flags, '-e', script], { encoding: 'utf8' })
}

/** A server's heap, and 1.3 GB of buffers that live for a while: a few more with each turn of the event loop. */
const LOAD = `
const kept = Array.from({ length: 400_000 }, (_, i) => ({ i, text: 'x' + i, next: undefined }))
const buffers = []
for (let turn = 0; turn < 20_000; turn++) {
  buffers[turn % 300] = Buffer.allocUnsafeSlow(65_536)
  for (let i = 0; i < 100; i++) kept[(turn * 100 + i) % kept.length] = { i, text: 'y' + i, next: undefined }
  await new Promise(setImmediate)
}`

describe('collection in the background', () => {
  test('begins before V8 marks in place of everything else', () => {
    const pressedOf = (traced: string): number => traced.split('Start (external memory pressure)').length - 1
    const without = pressedOf(run(LOAD))
    const traced = run(`collectInBackground()${LOAD}`)
    assert.ok(traced.includes('Start (task)'))
    assert.ok(pressedOf(traced) * 2 < without, `${pressedOf(traced)} in place of ${without} times`)
  })

  test('leaves the processor to the main thread', () => {
    const tell = `
import { readdirSync, readFileSync } from 'node:fs'
const niceOf = thread => readFileSync('/proc/self/task/' + thread + '/stat', 'utf8').split(') ')[1].split(' ')[16]
const threads = process.platform === 'linux' ? readdirSync('/proc/self/task') : []
console.log('main', threads.filter(thread => Number(thread) === process.pid).map(niceOf).join())
console.log('lowered', threads.filter(thread => niceOf(thread) === '10').length)`
    const said = run(`collectInBackground()\n${tell}`)
    const [main, lowered] = process.platform === 'linux' ? ['main 0', 'lowered 5'] : ['main ', 'lowered 0']
    assert.ok(said.includes(`${main}\n`) && said.includes(`${lowered}\n`), said)
  })
})
