import { strict as assert } from 'node:assert'
import { silentLogger } from '@strata/base'
import { ManualClock } from '@strata/base/testing'
import { beforeEach, describe, test } from 'vitest'
import { EtcdFailure } from './etcd-failure.ts'
import { EtcdLease, leaseMarginMs, type LeaseSession } from './etcd-lease.ts'
import { LEASE_KEEP_ALIVE } from './etcd-rpc.ts'

interface Request {
  readonly path: string
  readonly sentAtMs: number
  readonly timeoutMs: number
  readonly answer: (fields: { id?: bigint; ttl?: bigint }) => Promise<void>
  readonly fail: (failure: EtcdFailure) => Promise<void>
}

const TTL_MS = 9_000
const MARGIN_MS = leaseMarginMs(TTL_MS)

describe('a lease', () => {
  let clock: ManualClock
  let requests: Request[]
  let ended: EtcdLease[]
  beforeEach(() => {
    clock = new ManualClock(0)
    requests = []
    ended = []
  })
  const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))
  const send = (path: string, timeoutMs: number): Promise<never> =>
    new Promise((resolve, reject) =>
      requests.push({
        path,
        timeoutMs,
        sentAtMs: clock.nowMs(),
        answer: fields => (resolve(fields as never), turn()),
        fail: failure => (reject(failure), turn())
      })
    )
  const session = (): LeaseSession => ({
    clock,
    log: silentLogger,
    ask: async (rpc, _request, options) => {
      options.onSend?.()
      return send(rpc.path, 0)
    },
    askOnce: async (rpc, _request, timeoutMs) => send(rpc.path, timeoutMs)
  })
  const grant = async (answeredAfterMs = 0): Promise<EtcdLease> => {
    const granting = EtcdLease.grant(session(), TTL_MS, lease => ended.push(lease))
    clock.advance(answeredAfterMs)
    await requests.pop()?.answer({ id: 7n, ttl: BigInt(TTL_MS / 1000) })
    return granting
  }
  const onlyRequest = (): Request => {
    const [request] = requests.splice(0)
    assert(request !== undefined && requests.length === 0)
    assert.equal(request.path, LEASE_KEEP_ALIVE.path)
    return request
  }

  test('is held until its time is up, less a margin, counted from when it was asked for', async () => {
    const lease = await grant(500)
    let lostAtMs = -1
    lease.onLost(() => (lostAtMs = clock.nowMs()))
    clock.advance(TTL_MS - MARGIN_MS - 500 - 1)
    assert.equal(lease.isLost, false)
    clock.advance(1)
    assert.equal(lostAtMs, TTL_MS - MARGIN_MS)
    assert.equal(lease.isLost, true)
    assert.deepEqual(ended, [lease])
    clock.advance(TTL_MS)
    assert.equal(lostAtMs, TTL_MS - MARGIN_MS)
  })

  test('is prolonged from when a keep-alive was sent, not from when it was answered', async () => {
    const lease = await grant()
    clock.advance(TTL_MS / 3)
    const keepAlive = onlyRequest()
    clock.advance(2_000)
    await keepAlive.answer({ ttl: 9n })
    clock.advance(keepAlive.sentAtMs + TTL_MS - MARGIN_MS - clock.nowMs() - 1)
    assert.equal(lease.isLost, false)
    clock.advance(1)
    assert.equal(lease.isLost, true)
  })

  test('that etcd gives less for counts as that', async () => {
    const lease = await grant()
    clock.advance(TTL_MS / 3)
    const { sentAtMs, answer } = onlyRequest()
    await answer({ ttl: 2n })
    clock.advance(2_000 - leaseMarginMs(2_000) - 1)
    assert.equal(lease.isLost, false)
    clock.advance(1)
    assert.equal(lease.isLost, true)
    assert.equal(clock.nowMs(), sentAtMs + 2_000 - leaseMarginMs(2_000))
  })

  test('asks again soon when a keep-alive fails, and never waits past its own end', async () => {
    const lease = await grant()
    clock.advance(TTL_MS / 3)
    let failures = 0
    while (!lease.isLost) {
      for (const request of requests.splice(0)) {
        assert(request.timeoutMs <= TTL_MS - MARGIN_MS - request.sentAtMs)
        failures += 1
        await request.fail(new EtcdFailure('unclear', 'no answer'))
      }
      clock.advance(100)
    }
    assert(failures >= 6, `${failures} attempts`)
    assert(clock.nowMs() < TTL_MS)
  })

  test('is lost for good, whatever is answered later', async () => {
    const lease = await grant()
    clock.advance(TTL_MS / 3)
    const keepAlive = onlyRequest()
    clock.advance(TTL_MS)
    assert.equal(lease.isLost, true)
    await keepAlive.answer({ ttl: 9n })
    assert.equal(lease.isLost, true)
    assert.equal(lease.isHeld, false)
    clock.advance(TTL_MS)
    assert.equal(requests.length, 0)
  })

  test('is lost when a timer is late, as soon as anyone asks', async () => {
    let nowMs = 0
    const stuck = { nowMs: () => nowMs, wallMs: () => nowMs, after: () => () => undefined }
    const granting = EtcdLease.grant({ ...session(), clock: stuck }, TTL_MS, lease => ended.push(lease))
    await requests.pop()?.answer({ id: 7n, ttl: 9n })
    const lease = await granting
    nowMs = TTL_MS - MARGIN_MS
    assert.equal(lease.isHeld, false)
    assert.equal(lease.isLost, true)
  })

  test('that etcd does not know any more is lost at once', async () => {
    const lease = await grant()
    clock.advance(TTL_MS / 3)
    await onlyRequest().answer({ ttl: 0n })
    assert.equal(lease.isLost, true)
  })

  test('that is revoked is not lost, and asks for nothing more', async () => {
    const lease = await grant()
    lease.onLost(() => assert.fail('revoked'))
    const revoking = lease.revoke()
    await requests.pop()?.fail(new EtcdFailure('no-lease', 'gone'))
    await revoking
    clock.advance(TTL_MS * 2)
    assert.equal(lease.isLost, false)
    assert.equal(requests.length, 0)
  })
})
