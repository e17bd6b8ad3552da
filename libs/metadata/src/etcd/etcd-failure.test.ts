import { strict as assert } from 'node:assert'
import { Metadata, status, type ServiceError } from '@grpc/grpc-js'
import { describe, test } from 'vitest'
import { MetadataError } from '../errors.ts'
import { EtcdFailure, failureOf, metadataErrorOf, type FailureKind } from './etcd-failure.ts'
import { backoffMs } from './etcd-session.ts'

const serviceError = (code: status, details: string): ServiceError =>
  Object.assign(new Error(details), { code, details, metadata: new Metadata() })

describe('what etcd says', () => {
  const cases: [status, string, FailureKind, code: string][] = [
    [status.RESOURCE_EXHAUSTED, 'etcdserver: mvcc: database space exceeded', 'full', 'NO_SPACE'],
    [status.RESOURCE_EXHAUSTED, 'etcdserver: too many requests', 'refused', 'UNAVAILABLE'],
    [status.UNAUTHENTICATED, 'etcdserver: invalid auth token', 'stale-token', 'UNAVAILABLE'],
    [status.INVALID_ARGUMENT, 'etcdserver: revision of auth store is old', 'stale-token', 'UNAVAILABLE'],
    [status.INVALID_ARGUMENT, 'etcdserver: user name is empty', 'denied', 'DENIED'],
    [status.PERMISSION_DENIED, 'etcdserver: permission denied', 'denied', 'DENIED'],
    [status.INVALID_ARGUMENT, 'etcdserver: request is too large', 'too-large', 'TOO_LARGE'],
    [status.NOT_FOUND, 'etcdserver: requested lease not found', 'no-lease', 'LEASE_LOST'],
    [status.OUT_OF_RANGE, 'etcdserver: mvcc: required revision has been compacted', 'compacted', 'UNAVAILABLE'],
    [status.UNAVAILABLE, 'etcdserver: no leader', 'refused', 'UNAVAILABLE'],
    [status.UNAVAILABLE, 'etcdserver: leader changed', 'unclear', 'UNAVAILABLE'],
    [status.UNAVAILABLE, 'etcdserver: request timed out', 'unclear', 'UNAVAILABLE'],
    [status.UNAVAILABLE, 'Connection dropped', 'unclear', 'UNAVAILABLE'],
    [status.UNKNOWN, 'what no version said so far', 'unclear', 'UNAVAILABLE']
  ]
  for (const [code, details, kind, expected] of cases) {
    test(`"${details}" is ${kind}`, () => {
      const failure = failureOf(serviceError(code, details))
      assert.equal(failure.kind, kind)
      assert(MetadataError.is(metadataErrorOf(failure), expected as 'UNAVAILABLE'))
    })
  }

  test('is asked again only where that may help, and is ambiguous only where it may have been done', () => {
    const of = (kind: FailureKind): [boolean, boolean] => {
      const failure = new EtcdFailure(kind, '')
      return [failure.isPassing, failure.isUnclear]
    }
    assert.deepEqual(of('unsent'), [true, false])
    assert.deepEqual(of('refused'), [true, false])
    assert.deepEqual(of('unclear'), [true, true])
    assert.deepEqual(of('full'), [false, true])
    assert.deepEqual(of('denied'), [false, false])
    assert.deepEqual(of('replaced'), [false, false])
  })

  test('bugs are passed on as they are', () => {
    const bug = new TypeError('a bug')
    assert.equal(metadataErrorOf(bug), bug)
  })
})

test('pauses grow up to a second, and half of each is chance', () => {
  for (let attempt = 0; attempt < 100; attempt++) {
    const most = Math.min(20 * 2 ** attempt, 1_000)
    const pauseMs = backoffMs(attempt)
    assert(pauseMs >= most / 2 && pauseMs <= most, `${pauseMs} ms`)
  }
})
