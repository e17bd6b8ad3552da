import { PulsarClient } from '@strata/client'
import { afterAll, afterEach, beforeAll, beforeEach } from 'vitest'
import { AdminWorld } from './admin-world.ts'

interface Given {
  /** One for all tests of the file. */
  readonly admin: AdminWorld
  /** Of the one test. */
  readonly client: PulsarClient
  /** Of a topic that no other test of the file has. */
  readonly name: string
}

/** For the top of a test file: gives a broker, and each test a client and a topic of its own, and closes both. */
export function eachTestWith(give: (given: Given) => void): void {
  let admin: AdminWorld
  let client: PulsarClient
  let count = 0
  beforeAll(async () => {
    admin = await AdminWorld.start()
  })
  beforeEach(() => {
    client = new PulsarClient({ serviceUrl: `pulsar://127.0.0.1:${admin.world.broker.ports.broker}` })
    give({ admin, client, name: `t${++count}` })
  })
  afterEach(async () => {
    await client.close()
  })
  afterAll(async () => {
    await admin.close()
  })
}
