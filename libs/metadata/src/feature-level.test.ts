import { strict as assert } from 'node:assert'
import { silentLogger, systemClock } from '@strata/base'
import { describe, test } from 'vitest'
import { MetadataError } from './errors.ts'
import {
  featureLevels,
  FeatureGate,
  finalizeLevel,
  levelCapability,
  levelsOf,
  readFeatureLevel
} from './feature-level.ts'
import { MemoryMetadataStore } from './memory-metadata-store.ts'

const clock = systemClock
const open = (store: MemoryMetadataStore, max: number, min = 1) =>
  FeatureGate.open(store, { logger: silentLogger, levels: { min, max } })
const unknown = (error: unknown): boolean => MetadataError.is(error, 'LEVEL_UNKNOWN')

/** A format of a later release, as its code would be written. */
function encodeRow(gate: FeatureGate, text: string): string {
  return gate.allows(2) ? `2${Buffer.from(text).toString('base64')}` : `1${text}`
}
const firstRelease = { read: (row: string) => (row.startsWith('1') ? row.slice(1) : undefined) }

describe('the level of a cluster', () => {
  test('until it is raised the newer release writes what the older one reads; then not any more', async () => {
    const store = new MemoryMetadataStore()
    const old = await open(store, 1)
    const gate = await open(store, 2)
    assert.equal(firstRelease.read(encodeRow(gate, 'x')), 'x')
    // the release before starts on everything that is stored
    old.close()
    ;(await open(store, 1)).close()
    assert.equal(await finalizeLevel(store, { level: 2, clock }), 1)
    assert.equal(gate.level, 2)
    assert.equal(firstRelease.read(encodeRow(gate, 'x')), undefined)
    await assert.rejects(open(store, 1), unknown)
    const later = await open(store, 3, 2)
    assert.deepEqual([later.allows(2), later.allows(3)], [true, false])
    await assert.rejects(open(store, 5, 3), unknown)
  })

  test('never goes back, and is raised once', async () => {
    const store = new MemoryMetadataStore()
    assert.equal(await readFeatureLevel(store), 1)
    await finalizeLevel(store, { level: 3, clock })
    assert.equal(await finalizeLevel(store, { level: 3, clock }), 3)
    await assert.rejects(finalizeLevel(store, { level: 2, clock }), unknown)
    assert.equal(await readFeatureLevel(store), 3)
  })

  test('past what a running process knows it goes on writing what it knows', async () => {
    const store = new MemoryMetadataStore()
    const gate = await open(store, 1)
    await finalizeLevel(store, { level: 2, clock })
    assert.equal(gate.level, 1)
  })
})

test('levels are announced as a capability', () => {
  assert.deepEqual(levelsOf(['x', levelCapability({ min: 2, max: 3 })]), { min: 2, max: 3 })
  assert.deepEqual(levelsOf(['levels=1']), { min: 1, max: 1 })
  assert.deepEqual(levelsOf([levelCapability(featureLevels)]), featureLevels)
})
