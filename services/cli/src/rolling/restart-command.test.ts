import { strict as assert } from 'node:assert'
import { describe, test } from 'vitest'
import { CommandFailure } from '../failure.ts'
import { commandFor, runCommand } from './restart-command.ts'

const node = { kind: 'bookie', id: 'a b', host: 'h-1.example', address: '127.0.0.1:3181' } as const
const { signal } = new AbortController()

describe('the command that restarts a node', () => {
  test('has its values as words of the shell', () => {
    assert.equal(
      commandFor('ssh {host} restart strata-{kind} {id}', node),
      "ssh h-1.example restart strata-bookie 'a b'"
    )
    assert.equal(commandFor('x {id}', { ...node, id: "a'; rm -rf /" }), "x 'a'\\''; rm -rf /'")
  })

  test('with a place that there is not is wrong usage', () => {
    assert.throws(
      () => commandFor('ssh {hots}', node),
      error => error instanceof CommandFailure && error.exitCode === 64 && /no \{hots\}/.test(error.message)
    )
  })

  test('that fails ends everything', async () => {
    await runCommand('true', signal)
    await assert.rejects(runCommand('exit 3', signal), /ended with 3/)
    const stopping = new AbortController()
    const running = runCommand('exec sleep 60', stopping.signal)
    stopping.abort()
    await assert.rejects(running, /could not be run to its end/)
  })
})
