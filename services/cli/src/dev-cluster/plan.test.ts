import { strict as assert } from 'node:assert'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { describe, test } from 'vitest'
import { CommandFailure } from '../failure.ts'
import { findEtcd } from './etcd-binary.ts'
import { planCluster, type Wanted } from './plan.ts'

const wanted = (change: Partial<Wanted> = {}): Wanted => ({
  ...{ data: '/data', etcd: 3, bookies: 2, brokers: 2, basePort: 7000, etcdBinary: '/bin/etcd' },
  ...{ strata: ['node', 'strata.js'], bookieSet: ['strataLogLevel=warn'], brokerSet: [] },
  ...change
})

const setsOf = (command: readonly string[]): string[] => command.filter((_, i) => command[i - 1] === '--set')

describe('the plan of a dev cluster', () => {
  test('gives everyone two ports from the base on, and starts from the bottom up', async () => {
    const { members, metadataUrl } = await planCluster(wanted(), new Map())
    assert.deepEqual(
      members.map(({ name, port, secondPort }) => [name, port, secondPort]),
      [
        ['etcd-1', 7000, 7001],
        ['etcd-2', 7002, 7003],
        ['etcd-3', 7004, 7005],
        ['bookie-1', 7006, 7007],
        ['bookie-2', 7008, 7009],
        ['broker-1', 7010, 7011],
        ['broker-2', 7012, 7013]
      ]
    )
    assert.equal(metadataUrl, 'etcd:http://127.0.0.1:7000,http://127.0.0.1:7002,http://127.0.0.1:7004/dev')
    const [etcd, , , bookie, , broker] = members
    assert(
      etcd?.command.includes(
        '--initial-cluster=etcd-1=http://127.0.0.1:7001,etcd-2=http://127.0.0.1:7003,etcd-3=http://127.0.0.1:7005'
      )
    )
    assert(setsOf(bookie?.command ?? []).includes('strataLogLevel=warn'))
    assert(setsOf(bookie?.command ?? []).includes('journalDirectories=/data/bookie-1/journal'))
    assert(setsOf(broker?.command ?? []).includes('webServicePort=7011'))
  })

  test('has as many copies as there are nodes, at most three', async () => {
    for (const [bookies, quorum] of [
      [1, [1, 1]],
      [2, [2, 2]],
      [5, [3, 2]]
    ] as const) {
      const { members } = await planCluster(wanted({ bookies, brokers: 1 }), new Map())
      const sets = setsOf(members.at(-1)?.command ?? [])
      assert(sets.includes(`managedLedgerDefaultWriteQuorum=${quorum[0]}`), `${bookies}`)
      assert(sets.includes(`managedLedgerDefaultAckQuorum=${quorum[1]}`), `${bookies}`)
    }
  })

  test('takes free ports, all different, and those that members had before', async () => {
    const known = new Map([['broker-1', [4711, 4712]]])
    const { members } = await planCluster(wanted({ basePort: undefined }), known)
    const ports = members.flatMap(({ port, secondPort }) => [port, secondPort])
    assert.equal(new Set(ports).size, ports.length)
    assert(ports.every(port => port > 0))
    const broker = members.find(({ name }) => name === 'broker-1')
    assert.deepEqual([broker?.port, broker?.secondPort], [4711, 4712])
  })

  test('ports past the last one are refused', async () => {
    await assert.rejects(planCluster(wanted({ basePort: 65_530 }), new Map()), /14 ports do not fit/)
  })
})

describe('etcd', () => {
  test('is the one named, or the first on PATH; else one line says how to get it', () => {
    const directory = mkdtempSync(join(tmpdir(), 'strata-etcd-'))
    const file = join(directory, 'etcd')
    try {
      assert.throws(() => findEtcd(undefined, directory), /--etcd-binary or STRATA_ETCD/)
      writeFileSync(file, '')
      assert.throws(() => findEtcd(undefined, directory), CommandFailure)
      chmodSync(file, 0o755)
      assert.equal(findEtcd(undefined, ['/nowhere', directory].join(delimiter)), file)
      assert.equal(findEtcd(file, ''), file)
      assert.throws(() => findEtcd(directory, directory), /is no program/)
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
})
