import { strict as assert } from 'node:assert'
import { describe, test } from 'vitest'
import { isWanted, sinceOf } from './audit-view.ts'

const NOW = Date.parse('2026-01-02T00:00:00Z')
const RECORD = {
  time: '2026-01-01T12:00:00.000Z',
  broker: 'b:8080',
  roles: ['proxy', 'ann'],
  address: '10.0.0.1',
  operation: 'deleteTopic',
  method: 'DELETE',
  path: '/admin/v2/persistent/acme/app/t',
  status: 403
}

describe('what is shown of the audit log', () => {
  test('times are given as they are, or as so long ago', () => {
    assert.equal(sinceOf('12h', NOW), NOW - 12 * 3_600_000)
    assert.equal(sinceOf('90s', NOW), NOW - 90_000)
    assert.equal(sinceOf('2026-01-01T00:00:00Z', NOW), NOW - 86_400_000)
    for (const text of ['yesterday', '12', '-1h', '']) assert.throws(() => sinceOf(text, NOW), /--since/)
  })

  test('all that is asked for must be so', () => {
    const sinceMs = Date.parse(RECORD.time)
    const wanted = { sinceMs, role: 'ann', path: 'acme/app', operation: 'deleteTopic', refused: true }
    assert.ok(isWanted(RECORD, wanted))
    for (const other of [
      { sinceMs: sinceMs + 1 },
      { role: 'boss' },
      { path: 'acme/other' },
      { operation: 'createTopic' }
    ]) {
      assert.ok(!isWanted(RECORD, { ...wanted, ...other }))
    }
    assert.ok(!isWanted({ ...RECORD, status: 204 }, wanted))
    assert.ok(isWanted({ ...RECORD, status: 204 }, { sinceMs }))
  })
})
