import { strict as assert } from 'node:assert'
import { test } from 'vitest'
import { campaign, type Leadership } from '../election.ts'
import type { MetadataStore } from '../metadata-store.ts'

const TTL_MS = 10_000
const KEY = 'leader'

export function describeElections(subject: () => { readonly store: MetadataStore }): void {
  const run = (id: string, signal?: AbortSignal): Promise<Leadership> =>
    campaign({ store: subject().store, key: KEY, id, ttlMs: TTL_MS, ...(signal === undefined ? {} : { signal }) })
  const leader = async (): Promise<string | undefined> => {
    const record = await subject().store.get(KEY)
    return record === undefined ? undefined : new TextDecoder().decode(record.value)
  }

  test('who leads does so until it resigns, then the next one does', async () => {
    const first = await run('first')
    assert.equal(await leader(), 'first')
    let hasSecond = false
    const waiting = run('second').finally(() => (hasSecond = true))
    // a key that only begins like theirs is none of their business
    const other = { kind: 'put', key: `${KEY}s`, value: new Uint8Array() } as const
    await subject().store.transact({ compares: [], changes: [other] })
    assert.equal(await leader(), 'first')
    assert.equal(hasSecond, false)
    await first.resign()
    await first.resign()
    const second = await waiting
    assert.equal(await leader(), 'second')
    assert(second.version > first.version)
    assert.equal(first.isLost, false)
    await second.resign()
    assert.equal(await leader(), undefined)
  })

  test('of many candidates one leads at a time, and everyone in the end', async () => {
    let leading = 0
    const turns: number[] = []
    await Promise.all(
      [0, 1, 2, 3, 4].map(async candidate => {
        const leadership = await run(`candidate ${candidate}`)
        leading += 1
        assert.equal(leading, 1)
        assert.equal(await leader(), `candidate ${candidate}`)
        turns.push(leadership.version)
        leading -= 1
        await leadership.resign()
      })
    )
    assert.equal(turns.length, 5)
    assert.deepEqual(
      turns,
      [...turns].sort((a, b) => a - b)
    )
  })

  test('a leadership is lost when its record is taken away', async () => {
    const leadership = await run('first')
    const lost = new Promise<void>(resolve => leadership.onLost(resolve))
    assert.equal(leadership.isLost, false)
    await subject().store.transact({ compares: [], changes: [{ kind: 'delete', key: KEY }] })
    await lost
    assert.equal(leadership.isLost, true)
    const next = await run('second')
    assert.equal(await leader(), 'second')
    await leadership.resign()
    assert.equal(await leader(), 'second')
    await next.resign()
  })

  test('who gives up waiting leaves nothing behind', async () => {
    const first = await run('first')
    const controller = new AbortController()
    const waiting = run('second', controller.signal)
    controller.abort(new Error('enough'))
    await assert.rejects(waiting, /enough/)
    await first.resign()
    assert.equal(await leader(), undefined)
  })
}
