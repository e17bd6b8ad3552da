import { strict as assert } from 'node:assert'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, test } from 'vitest'
import { AlteredWorld } from '../support/altered-world.ts'

const HOUR_MS = 3_600_000

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'strata-world-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

/** Lines of a program that runs in that world, until it ends or nobody asks for more. */
async function* run(world: AlteredWorld, program: string): AsyncGenerator<string, void, undefined> {
  const child = spawn(process.execPath, [...world.nodeArguments, '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  try {
    yield* createInterface({ input: child.stdout })
  } finally {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }
}

test.each([-HOUR_MS, HOUR_MS])(
  'the wall clock of a process steps by %d ms while it runs, and nothing else does',
  async stepMs => {
    const world = new AlteredWorld({ directory })
    const program = 'setInterval(() => console.log(Date.now(), new Date().getTime(), performance.now()), 5)'
    let isStepped = false
    let startedAtMs: number | undefined
    for await (const line of run(world, program)) {
      const [now = NaN, made = NaN, monotonic = NaN] = line.split(' ').map(Number)
      startedAtMs ??= now - monotonic
      assert(Math.abs(made - now) < 1_000)
      if (!isStepped) world.setClock(stepMs)
      isStepped = true
      const steppedMs = now - monotonic - startedAtMs
      if (Math.abs(steppedMs - stepMs) < 1_000) return
      assert(Math.abs(steppedMs) < 1_000, `the clock stepped by ${steppedMs} ms`)
    }
    assert.fail('the program ended')
  }
)

test('a process that starts sees the clock as it stood', async () => {
  const world = new AlteredWorld({ directory })
  world.setClock(HOUR_MS)
  for await (const line of run(world, 'console.log(Date.now())')) {
    assert(Math.abs(Number(line) - Date.now() - HOUR_MS) < 60_000)
  }
})

test('connections to a port go to another one, however they are asked for', async () => {
  const servers = ['meant', 'other'].map(name => createServer(socket => socket.end(name)).listen(0, '127.0.0.1'))
  await Promise.all(servers.map(server => once(server, 'listening')))
  const [meant = 0, other = 0] = servers.map(server => (server.address() as AddressInfo).port)
  const world = new AlteredWorld({ directory, routes: new Map([[meant, other]]) })
  const program = `
    import { connect, Socket } from 'node:net'
    const ways = [
      port => connect(port, '127.0.0.1'),
      port => connect({ port, host: '127.0.0.1' }),
      port => new Socket().connect({ port, host: '127.0.0.1' })
    ]
    for (const way of ways) for await (const text of way(${meant}).setEncoding('utf8')) console.log(text)`
  const seen: string[] = []
  for await (const line of run(
    world,
    `import('data:text/javascript,' + encodeURIComponent(${JSON.stringify(program)}))`
  )) {
    seen.push(line)
  }
  await Promise.all(servers.map(server => once(server.close(), 'close')))
  assert.deepEqual(seen, ['other', 'other', 'other'])
})
