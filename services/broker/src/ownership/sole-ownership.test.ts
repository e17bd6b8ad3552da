import { strict as assert } from 'node:assert'
import { ManualClock } from '@strata/base/testing'
import { MemoryMetadataStore } from '@strata/metadata'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { isBrokerError } from '../errors.ts'
import { NamespaceRowSchema } from '../generated/broker_pb.ts'
import { isNamespaceError } from '../namespace/errors.ts'
import { encodeRow, keys } from '../namespace/rows.ts'
import { TopicName } from '../namespace/topic-name.ts'
import type { BrokerAddress, BundleName } from './contract.ts'
import { SoleOwnership } from './sole-ownership.ts'

const NAMESPACE = 'public/default'
const self: BrokerAddress = {
  id: '127.0.0.1:8080',
  instance: 'sole',
  version: '0',
  startedAtMs: 0,
  urls: { brokerUrl: 'pulsar://127.0.0.1:6650', brokerUrlTls: undefined, httpUrl: undefined, httpUrlTls: undefined },
  listeners: new Map(),
  isDraining: false
}

describe('SoleOwnership', () => {
  let store: MemoryMetadataStore
  let ownership: SoleOwnership
  let released: string[]
  let closing: Promise<void>
  beforeEach(async () => {
    store = new MemoryMetadataStore()
    released = []
    closing = Promise.resolve()
    await put(keys.namespace(NAMESPACE), 4)
    ownership = new SoleOwnership({ metadata: store, clock: new ManualClock() })
    const topics = {
      loaded: () => [],
      release: (bundle: BundleName) => {
        released.push(bundle.range)
        return closing
      },
      drop: () => assert.fail('nobody else is there'),
      preload: () => assert.fail('nobody handed over'),
      suspend: () => assert.fail('there is no lease')
    }
    await ownership.start({ self, topics })
  })
  afterEach(async () => {
    await ownership.close()
    await store.close()
  })

  const put = (key: string, bundleCount: number) =>
    store.transact({
      compares: [],
      changes: [{ kind: 'put', key, value: encodeRow(NamespaceRowSchema, { bundleCount }) }]
    })

  test('holds every bundle that is asked for, and compares nothing', async () => {
    const bundle = await ownership.bundleOf(TopicName.parse('t'))
    const placement = await ownership.locate(bundle)
    assert(placement.kind === 'here')
    assert.equal(placement.hold.guard, undefined)
    assert.deepEqual([...ownership.owners()], [[bundle.toString(), self]])
    assert.equal((await ownership.explain(bundle)).owner, self.id)
  })

  test('a bundle that is unloaded is closed, and asked for again only after that', async () => {
    const [bundle] = await ownership.bundlesOf(NAMESPACE)
    assert(bundle !== undefined)
    let close = (): void => undefined
    closing = new Promise(resolve => (close = resolve))
    const unloading = ownership.unload(bundle)
    assert.equal(ownership.holdOf(bundle), undefined)
    const located = ownership.locate(bundle)
    close()
    await unloading
    assert.equal((await located).kind, 'here')
    assert.deepEqual(released, [bundle.range])
    await assert.rejects(ownership.unload(bundle, { to: 'elsewhere:1' }), error =>
      isBrokerError(error, 'NotAllowedError')
    )
  })

  test('a split is stored, and known at once', async () => {
    const [bundle] = await ownership.bundlesOf(NAMESPACE)
    assert(bundle !== undefined)
    await ownership.split(bundle, [0x1000_0000, 0x2000_0000], { unload: true })
    assert.deepEqual(
      (await ownership.bundlesOf(NAMESPACE)).map(({ start }) => start),
      [0, 0x1000_0000, 0x2000_0000, 0x4000_0000, 0x8000_0000, 0xc000_0000]
    )
    assert.deepEqual(released, [bundle.range])
    for (const wrong of [[0], [], [0x4000_0000], [0x3000_0000, 0x2000_0000]]) {
      await assert.rejects(ownership.split(bundle, wrong), error => isBrokerError(error, 'NotAllowedError'))
    }
  })

  test('a namespace is as it is now, not as it was', async () => {
    assert.equal((await ownership.bundlesOf(NAMESPACE)).length, 4)
    await put(keys.namespace(NAMESPACE), 8)
    assert.equal((await ownership.bundlesOf(NAMESPACE)).length, 8)
    await store.transact({ compares: [], changes: [{ kind: 'delete', key: keys.namespace(NAMESPACE) }] })
    await assert.rejects(ownership.bundlesOf(NAMESPACE), error => isNamespaceError(error, 'NAMESPACE_NOT_FOUND'))
  })
})
