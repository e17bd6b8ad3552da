import { strict as assert } from 'node:assert'
import { createHmac } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { startStrataCommand, type CommandOptions, type Ended } from '../support/strata-command.ts'
import { startStrata, type StrataProcess } from '../support/strata-process.ts'

/*
  Administration from the command line, against a server that wants to know who asks: every command here is sent with a token.
*/

const directory = mkdtempSync(join(tmpdir(), 'strata-'))
const KEY = Buffer.alloc(32, 7)
const tokenFile = join(directory, 'root.jwt')
let server: StrataProcess

beforeAll(async () => {
  writeFileSync(tokenFile, `${tokenOf('root')}\n`)
  server = await startStrata({
    data: join(directory, 'data'),
    set: {
      strataLogLevel: 'error',
      brokerDeleteInactiveTopicsEnabled: false,
      forceDeleteNamespaceAllowed: true,
      authenticationEnabled: true,
      authorizationEnabled: true,
      authenticationProviders: 'org.apache.pulsar.broker.authentication.AuthenticationProviderToken',
      tokenSecretKey: `data:;base64,${KEY.toString('base64')}`,
      superUserRoles: 'root',
      brokerClientAuthenticationPlugin: 'org.apache.pulsar.client.impl.auth.AuthenticationToken',
      brokerClientAuthenticationParameters: `token:${tokenOf('root')}`
    }
  })
}, 120_000)

afterAll(async () => {
  assert.equal(await server.stop(), 0)
  rmSync(directory, { recursive: true, force: true })
})

function tokenOf(role: string): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const signed = `${part({ alg: 'HS256' })}.${part({ sub: role })}`
  return `${signed}.${createHmac('sha256', KEY).update(signed).digest('base64url')}`
}

/** The line is split at blanks; asked with the token of a super user unless another is given. */
async function run(
  line: string,
  { code = 0, token, ...options }: CommandOptions & { code?: number; token?: string } = {}
): Promise<Ended> {
  const env = { STRATA_URL: server.brokerUrl, STRATA_ADMIN_URL: server.webUrl, STRATA_TOKEN: token ?? tokenOf('root') }
  const ended = await startStrataCommand(line.split(' '), { ...options, env }).ended
  assert.equal(ended.code, code, `strata ${line}: ${ended.stdout}${ended.stderr}`)
  return ended
}

async function records(line: string): Promise<Record<string, unknown>[]> {
  const { stdout } = await run(`${line} --json`)
  return stdout
    .split('\n')
    .slice(0, -1)
    .map(each => JSON.parse(each) as Record<string, unknown>)
}

describe('administration', () => {
  test('tenants and namespaces: made, told, changed; what deletes says what goes, asks, and does it', async () => {
    await run('tenants create acme --admin-role boss')
    await run('tenants update acme --admin-role boss --admin-role ops')
    assert.deepEqual(
      (await records('tenants list')).filter(({ tenant }) => tenant === 'acme'),
      [{ tenant: 'acme', adminRoles: ['boss', 'ops'], allowedClusters: ['standalone'] }]
    )
    await run('namespaces create acme/orders --bundles 2')
    const [described] = await records('namespaces describe acme/orders')
    assert.equal(described?.topics, 0)
    assert.equal((await records('namespaces bundles acme/orders')).length, 2)
    await run('topics create acme/orders/t --partitions 2')
    await run('subscriptions create acme/orders/t s')
    assert.match((await run('namespaces list acme')).stdout, /^acme\/orders +2 +standalone$/m)
    const quota = 'namespaces quota acme/orders 0x00000000_0x80000000'
    const usual = await records('namespaces quota')
    assert.deepEqual(await records(`${quota} --messages-in 5000 --no-dynamic`), [
      { ...usual[0], namespace: 'acme/orders', bundle: '0x00000000_0x80000000', msgRateIn: 5000, dynamic: false }
    ])
    assert.match((await run(quota)).stdout, /^messages in a second +5000$/m)
    await run(`${quota} --reset`)
    assert.equal((await records(quota))[0]?.msgRateIn, usual[0]?.msgRateIn)
    assert.match((await run('namespaces quota acme/orders', { code: 64 })).stderr, /strata namespaces bundles/)
    const dry = await run('namespaces delete acme/orders --force --dry-run')
    assert.match(dry.stdout, /would be deleted: namespace acme\/orders \(2 topics, 1 subscription, 0 bytes\)/)
    const refused = await run('namespaces delete acme/orders --force', { code: 64 })
    assert.match(refused.stderr, /nobody is at a terminal.*--dry-run.*--yes/)
    assert.equal((await records('topics list acme/orders')).length, 2)
    await run('namespaces delete acme/orders --yes', { code: 1 })
    await run('namespaces unload acme/orders')
    await run('namespaces clear-backlog acme/orders --yes')
    await run('namespaces delete acme/orders --force --yes')
    assert.deepEqual(await records('tenants delete acme --dry-run'), [
      { tenant: 'acme', dryRun: true, namespaces: 0, topics: 0, subscriptions: 0, bytes: 0 }
    ])
    await run('tenants delete acme --yes')
    const gone = await run('tenants describe acme', { code: 1 })
    assert.match(gone.stderr, /strata tenants list/)
  }, 180_000)

  test('policies: set by words, by JSON, by text; read as set and as applied; removed', async () => {
    await run('topics create policed')
    await run('policies set public/default retention retentionTimeInMinutes=60 retentionSizeInMB=-1')
    await run('policies set public/default messageTTL 30')
    await run('policies set policed subscriptionTypesEnabled ["Shared"]')
    assert.deepEqual(await records('policies get public/default'), [
      { namespace: 'public/default', policy: 'messageTTL', value: 30 },
      {
        namespace: 'public/default',
        policy: 'retention',
        value: { retentionTimeInMinutes: 60, retentionSizeInMB: -1 }
      }
    ])
    assert.equal((await run('policies get policed messageTTL')).stdout, 'not set\n')
    assert.equal((await run('policies get policed messageTTL --applied')).stdout, '30\n')
    assert.equal((await run('policies get policed subscriptionTypesEnabled')).stdout, '["Shared"]\n')
    await run('policies set policed messageTTL 5 --global')
    assert.equal((await run('policies get policed messageTTL --global')).stdout, '5\n')
    await run('policies remove public/default retention')
    await run('policies remove public/default --all')
    assert.deepEqual(await records('policies get public/default'), [])
    await run('policies remove policed --all')
    assert.deepEqual(await records('policies get policed'), [])
    assert.match((await run('policies set policed nonsense 1', { code: 64 })).stderr, /strata policies names/)
    assert.match((await run('policies get public/default --applied', { code: 64 })).stderr, /--applied is for topics/)
    assert((await records('policies names')).some(({ policy }) => policy === 'retention'))
  }, 180_000)

  test('policies check: what is set and does not act, where it is set', async () => {
    const acts = 'every policy that is set acts\n'
    assert.equal((await run('policies check')).stdout, acts)
    await run('topics create checked')
    await run('policies set public/default deduplication true')
    await run('policies set checked compactionThreshold 1000000')
    await run('policies set checked messageTTL 5')
    const found = await records('policies check')
    assert.deepEqual(
      found.map(({ policy, namespace, topic, value }) => ({ policy, of: topic ?? namespace, value })),
      [
        { policy: 'deduplication', of: 'public/default', value: true },
        { policy: 'compactionThreshold', of: 'persistent://public/default/checked', value: 1_000_000 }
      ]
    )
    assert.match((await run('policies check')).stdout, /^deduplication +public\/default .*true$/m)
    await run('policies remove public/default deduplication')
    await run('policies remove checked --all')
    assert.equal((await run('policies check')).stdout, acts)
    await run('topics create checked-parts --partitions 2')
    const mark = (path: string, isMarked: boolean): Promise<Response> =>
      fetch(`${server.webUrl}/admin/v2/persistent/public/default/${path}/replicatedSubscriptionStatus`, {
        ...{
          method: 'POST',
          headers: { 'content-type': 'application/json', authorization: `Bearer ${tokenOf('root')}` }
        },
        body: String(isMarked)
      })
    for (const topic of ['checked', 'checked-parts']) {
      await run(`subscriptions create ${topic} marked`)
      await run(`subscriptions create ${topic} plain`)
      assert.equal((await mark(`${topic}/subscription/marked`, true)).status, 204)
    }
    const marked = {
      policy: 'replicatedSubscription',
      namespace: 'public/default',
      subscription: 'marked',
      value: true
    }
    const topics = ['checked', 'checked-parts'].map(topic => `persistent://public/default/${topic}`)
    assert.deepEqual(
      await records('policies check --subscriptions'),
      topics.map(topic => ({ ...marked, topic }))
    )
    assert.match(
      (await run('policies check --subscriptions')).stdout,
      /^replicatedSubscription +persistent:\/\/public\/default\/checked marked .*true$/m
    )
    for (const topic of ['checked', 'checked-parts']) await mark(`${topic}/subscription/marked`, false)
    assert.equal((await run('policies check --subscriptions')).stdout, acts)
  }, 180_000)

  test('permissions, of namespaces, topics and subscriptions', async () => {
    await run('topics create shared')
    await run('permissions grant public/default shop --action produce --action consume')
    await run('permissions grant shared eve --action consume')
    await run('permissions grant public/default shop --subscription s')
    await run('permissions grant public/default eve --subscription s')
    assert.deepEqual(await records('permissions list public/default'), [
      { namespace: 'public/default', role: 'shop', actions: ['consume', 'produce'] },
      { namespace: 'public/default', subscription: 's', roles: ['eve', 'shop'] }
    ])
    assert.match((await run('permissions list shared')).stdout, /^eve +consume$/m)
    await run('permissions revoke shared eve')
    await run('permissions revoke public/default shop --subscription s')
    await run('permissions revoke public/default shop')
    assert.deepEqual(await records('permissions list public/default'), [
      { namespace: 'public/default', subscription: 's', roles: ['eve'] }
    ])
    assert.match((await run('permissions grant shared eve', { code: 64 })).stderr, /--action/)
  }, 180_000)

  test('schemas, brokers and clusters', async () => {
    const file = join(directory, 'order.avsc')
    writeFileSync(file, JSON.stringify({ type: 'record', name: 'Order', fields: [] }))
    await run('topics create typed')
    assert.equal((await records(`schemas add typed ${file}`))[0]?.version, 0)
    assert.match((await run('schemas list typed')).stdout, /^0 +AVRO /m)
    assert.equal((await run('schemas show typed 0')).stdout.trim(), '{"type":"record","name":"Order","fields":[]}')
    writeFileSync(file, JSON.stringify({ type: 'record', name: 'Order', fields: [{ name: 'id', type: 'string' }] }))
    assert.match((await run(`schemas check typed ${file}`, { code: 1 })).stderr, /would not take it.*id/)
    assert.match((await run('schemas delete typed --dry-run')).stdout, /1 version\)/)
    await run('schemas delete typed --yes')
    const [broker] = await records('brokers list')
    assert.equal(typeof broker?.broker, 'string')
    assert.match((await run('brokers health')).stdout, /healthy/)
    assert((await records('brokers settings')).every(({ value }) => value === null))
    await run('clusters create west --service-url http://west:8080 --broker-service-url pulsar://west:6650')
    await run('clusters update west --service-url http://west:80')
    assert.deepEqual(
      (await records('clusters list')).filter(({ cluster }) => cluster === 'west'),
      [{ cluster: 'west', serviceUrl: 'http://west:80', brokerServiceUrl: 'pulsar://west:6650' }]
    )
    await run('clusters delete west --yes')
    assert.match((await run('clusters describe west', { code: 1 })).stderr, /strata clusters list/)
  }, 180_000)
})

describe('credentials', () => {
  test('from a file, a flag or the environment; also of clients; in no output', async () => {
    const other = tokenOf('nobody')
    await run(`tenants list --token-file ${tokenFile}`, { token: '' })
    await run(`tenants list --token ${tokenOf('root')}`, { token: other })
    await run('produce sent --message a')
    assert.equal((await run(`read sent --token-file ${tokenFile}`, { token: '' })).stdout, 'a\n')
    const none = await run('tenants list', { code: 1, token: '' })
    assert.match(none.stderr, /--token-file or STRATA_TOKEN/)
    const [header = ''] = other.split('.')
    for (const line of ['tenants list', 'produce sent --message a', 'cluster dump']) {
      const { stdout, stderr } = await run(line, { code: 1, token: other })
      assert(!`${stdout}${stderr}`.includes(other.slice(header.length)), stderr)
      assert.match(stderr, /STRATA_TOKEN|authoriz/i)
    }
    const missing = await run('tenants list --token-file /nowhere/at/all', { code: 64 })
    assert.match(missing.stderr, /cannot be read/)
    const broken = await run('tenants list', { code: 64, token: 'two words' })
    assert(!broken.stderr.includes('two words'), broken.stderr)
  }, 180_000)
})
