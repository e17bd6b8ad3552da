import { strict as assert } from 'node:assert'
import { BytePool } from '@strata/base'
import { ManualClock } from '@strata/base/testing'
import fc from 'fast-check'
import { describe, test } from 'vitest'
import { TenantShares, type TenantShare } from '../limits/tenant-shares.ts'
import { Intake } from './intake.ts'

const KIB = 1024

interface Client {
  readonly intake: Intake
  readonly share: TenantShare
  readonly held: number[]
}

/** Connections of some tenants on a broker with little room, each of which publishes whenever it is not paused. */
function clientsOf(tenants: readonly number[]): { clients: Client[]; shares: TenantShares; pool: BytePool } {
  const shares = new TenantShares({ clock: new ManualClock(), contendedBytes: () => 256 * KIB })
  const pool = new BytePool('ingest', 1024 * KIB)
  const publishing = { connections: 0 }
  const host = { pool, publishing, pendingMax: () => 1000, pause: () => undefined, resume: () => undefined }
  const clients = tenants.map(tenant => ({ intake: new Intake(host), share: shares.of(`${tenant}`), held: [] }))
  return { clients, shares, pool }
}

describe('intake', () => {
  test('nobody is left paused who holds nothing, whoever has the shares and the pool in between', () => {
    const step = fc.record({ client: fc.nat(5), bytes: fc.integer({ min: 1, max: 400 * KIB }), settles: fc.nat(5) })
    fc.assert(
      fc.property(
        fc.array(fc.nat(2), { minLength: 6, maxLength: 6 }),
        fc.array(step, { maxLength: 80 }),
        (tenants, steps) => {
          const { clients, shares, pool } = clientsOf(tenants)
          const settle = ({ intake, share, held }: Client): void => {
            const bytes = held.shift()
            if (bytes !== undefined) intake.give(bytes, share)
          }
          for (const { client: index, bytes, settles } of steps) {
            const client = clients[index]
            assert(client !== undefined)
            if (!client.intake.isPaused) {
              client.intake.take(bytes, client.share)
              client.held.push(bytes)
              client.intake.check()
            }
            const settled = clients[settles]
            if (settled !== undefined && bytes % 2 === 0) settle(settled)
          }
          for (const client of clients) while (client.held.length > 0) settle(client)
          assert.deepEqual(
            clients.map(({ intake }) => intake.isPaused),
            clients.map(() => false)
          )
          assert.deepEqual([shares.heldBytes, pool.bytesHeld], [0, 0])
        }
      ),
      { numRuns: 500 }
    )
  })
})
