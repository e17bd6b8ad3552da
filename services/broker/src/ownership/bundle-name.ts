import { strict as assert } from 'node:assert'
import { crc32 } from 'node:zlib'
import type { TopicName } from '../namespace/topic-name.ts'
import type { BundleName } from './contract.ts'

/** The largest hash; the last bundle of a namespace holds it too. */
export const HASH_MAX = 0xffff_ffff

const RANGE = /^0x([0-9a-f]{8})_0x([0-9a-f]{8})$/

/** Where a topic falls: CRC-32 of its full name, as Pulsar has it. */
export function hashOf(name: TopicName): number {
  return crc32(name.toString())
}

/** Boundaries of `count` equal ranges, as Pulsar divides: ascending, the first 0, the last `HASH_MAX`. */
export function evenBoundaries(count: number): number[] {
  const width = 0x1_0000_0000 / count
  return [...Array.from({ length: count }, (_, index) => Math.floor(index * width)), HASH_MAX]
}

/** `0x40000000`, as Pulsar writes boundaries. */
export function hash32(value: number): string {
  return `0x${value.toString(16).padStart(8, '0')}`
}

export function bundleName(namespace: string, start: number, end: number): BundleName {
  assert(start >= 0 && start < end && end <= HASH_MAX, `a bundle from ${start} to ${end}`)
  return new HashRange(namespace, start, end)
}

/** Undefined for what is no range. */
export function parseBundle(namespace: string, range: string): BundleName | undefined {
  const [, from, to] = RANGE.exec(range) ?? []
  if (from === undefined || to === undefined) return undefined
  const [start, end] = [Number.parseInt(from, 16), Number.parseInt(to, 16)]
  return start < end ? new HashRange(namespace, start, end) : undefined
}

/** Inverse of `toString`: `tenant/namespace/range`. */
export function parseBundlePath(path: string): BundleName | undefined {
  const at = path.lastIndexOf('/')
  return at <= 0 ? undefined : parseBundle(path.slice(0, at), path.slice(at + 1))
}

export function bundlesBetween(namespace: string, boundaries: readonly number[]): BundleName[] {
  return boundaries.slice(1).map((end, index) => bundleName(namespace, boundaries[index] ?? 0, end))
}

export function isInBundle(bundle: BundleName, name: TopicName): boolean {
  if (name.namespace !== bundle.namespace) return false
  const hash = hashOf(name)
  return hash >= bundle.start && (hash < bundle.end || bundle.end === HASH_MAX)
}

/** @param bundles all of a namespace, in order */
export function bundleOfHash(bundles: readonly BundleName[], hash: number): BundleName {
  let low = 0
  let high = bundles.length - 1
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if ((bundles[middle]?.start ?? 0) <= hash) low = middle
    else high = middle - 1
  }
  const found = bundles[low]
  assert(found !== undefined, 'a namespace has a bundle')
  return found
}

class HashRange implements BundleName {
  readonly namespace: string
  readonly start: number
  readonly end: number
  readonly range: string
  readonly #path: string

  constructor(namespace: string, start: number, end: number) {
    this.namespace = namespace
    this.start = start
    this.end = end
    this.range = `${hash32(start)}_${hash32(end)}`
    this.#path = `${namespace}/${this.range}`
  }

  toString(): string {
    return this.#path
  }
}
