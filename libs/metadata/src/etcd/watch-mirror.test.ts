import { strict as assert } from 'node:assert'
import fc from 'fast-check'
import { test } from 'vitest'
import { WatchMirror } from './watch-mirror.ts'

const KEYS = ['a', 'b', 'c', 'd', 'é']
const change = fc.record({ key: fc.constantFrom(...KEYS), isPut: fc.boolean() })

/** A history, one revision a change. */
class History {
  readonly versions = new Map<string, number>()
  readonly events: { key: string; value: Uint8Array | undefined; version: number }[] = []
  #revision = 0

  apply(changes: readonly { key: string; isPut: boolean }[]): void {
    for (const { key, isPut } of changes) {
      if (!isPut && !this.versions.delete(key)) continue
      const version = ++this.#revision
      if (isPut) this.versions.set(key, version)
      this.events.push({ key, value: isPut ? new Uint8Array() : undefined, version })
    }
  }

  get listing(): { key: string; version: number }[] {
    return [...this.versions].map(([key, version]) => ({ key, version }))
  }
}

test('the difference leads from what was told to what is there, with rising versions and nothing superfluous', () => {
  fc.assert(
    fc.property(fc.array(change), fc.array(change), fc.array(change), (before, told, missed) => {
      const history = new History()
      history.apply(before)
      const mirror = new WatchMirror(history.listing)
      const start = history.events.length
      history.apply(told)
      mirror.apply(history.events.slice(start))
      const known = new Map(history.versions)
      const lastTold = history.events.at(-1)?.version ?? 0
      history.apply(missed)

      const { changed, deleted } = mirror.differenceTo(history.listing)
      const versions = changed.map(rows => rows[0]?.version ?? 0)
      assert.deepEqual(
        versions,
        [...versions].sort((a, b) => a - b)
      )
      assert(versions.every(version => version > lastTold))
      for (const { key, version } of changed.flat()) {
        assert.notEqual(known.get(key), version)
        known.set(key, version)
      }
      for (const key of deleted) assert(known.delete(key))
      assert.deepEqual(known, new Map([...known.keys()].map(key => [key, history.versions.get(key)])))
      assert.equal(known.size, history.versions.size)
    })
  )
})

test('keys of one revision stay together, and deleted ones come in order', () => {
  const mirror = new WatchMirror(['z', '\u{10000}', '\uffff'].map(key => ({ key, version: 1 })))
  const { changed, deleted } = mirror.differenceTo([
    { key: 'a', version: 7 },
    { key: 'b', version: 5 },
    { key: 'c', version: 7 }
  ])
  assert.deepEqual(
    changed.map(rows => rows.map(({ key }) => key)),
    [['b'], ['a', 'c']]
  )
  assert.deepEqual(deleted, ['z', '\uffff', '\u{10000}'])
})
