import { strict as assert } from 'node:assert'
import { test } from 'vitest'
import { TopicName } from '../namespace/topic-name.ts'
import {
  bundleName,
  bundleOfHash,
  bundlesBetween,
  evenBoundaries,
  hashOf,
  isInBundle,
  parseBundle,
  parseBundlePath
} from './bundle-name.ts'

test('boundaries and names are those of Pulsar', () => {
  const bundles = bundlesBetween('a/b', evenBoundaries(4))
  assert.deepEqual(
    bundles.map(({ range }) => range),
    ['0x00000000_0x40000000', '0x40000000_0x80000000', '0x80000000_0xc0000000', '0xc0000000_0xffffffff']
  )
  assert.equal(bundles[1]?.toString(), 'a/b/0x40000000_0x80000000')
  assert.deepEqual(evenBoundaries(3), [0, 0x5555_5555, 0xaaaa_aaaa, 0xffff_ffff])
})

test('a name is read back, and what is none is not', () => {
  const bundle = bundleName('a/b', 0x4000_0000, 0x8000_0000)
  assert.equal(parseBundlePath(bundle.toString())?.toString(), bundle.toString())
  assert.equal(parseBundle('a/b', bundle.range)?.start, bundle.start)
  for (const wrong of ['', '0x0_0x1', '0x40000000_0x40000000', '0x80000000_0x40000000', '0x4000000g_0x80000000']) {
    assert.equal(parseBundle('a/b', wrong), undefined)
  }
  assert.equal(parseBundlePath('0x00000000_0x40000000'), undefined)
})

test('every topic is in the one bundle that its hash falls into', () => {
  const bundles = bundlesBetween('public/default', [0, 7, 0x4000_0000, 0xffff_fffe, 0xffff_ffff])
  for (let i = 0; i < 200; i++) {
    const name = TopicName.parse(`topic-${i}`)
    const bundle = bundleOfHash(bundles, hashOf(name))
    assert.deepEqual(
      bundles.filter(other => isInBundle(other, name)),
      [bundle]
    )
  }
  assert.equal(bundleOfHash(bundles, 0xffff_ffff), bundles.at(-1))
  assert.equal(bundleOfHash(bundles, 7), bundles[1])
  assert.equal(bundleOfHash(bundles, 6), bundles[0])
})

test('the hash is that of the full name', () => {
  // as Pulsar's own tests have it: CRC-32 of the name's UTF-8
  assert.equal(hashOf(TopicName.parse('persistent://public/default/a')), 0xefe1_3dc2)
})
