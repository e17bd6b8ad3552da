import { strict as assert } from 'node:assert'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { startStrataCommand, type Ended } from '../support/strata-command.ts'
import { startStrata, type StrataProcess } from '../support/strata-process.ts'

/*
  `strata cluster`: what one server is, written as text, is made of another; then the text is edited, and the other follows.
*/

const directory = mkdtempSync(join(tmpdir(), 'strata-'))
const dumped = join(directory, 'cluster.yaml')
let from: StrataProcess
let to: StrataProcess

const SET = { strataLogLevel: 'error', brokerDeleteInactiveTopicsEnabled: false }

beforeAll(async () => {
  from = await startStrata({ data: join(directory, 'from'), set: SET })
  to = await startStrata({ data: join(directory, 'to'), set: SET })
  await fill()
}, 180_000)

afterAll(async () => {
  assert.equal(await from.stop(), 0)
  assert.equal(await to.stop(), 0)
  rmSync(directory, { recursive: true, force: true })
})

/** Runs `strata` to its end; the line is split at blanks. */
async function run(
  server: StrataProcess,
  line: string,
  options: { code?: number; input?: string } = {}
): Promise<Ended> {
  const env = { STRATA_URL: server.brokerUrl, STRATA_ADMIN_URL: server.webUrl }
  const ended = await startStrataCommand(line.split(' '), { env, input: options.input ?? '' }).ended
  assert.equal(ended.code, options.code ?? 0, `strata ${line}: ${ended.stdout}${ended.stderr}`)
  return ended
}

async function call(method: string, path: string, body: unknown, server = from): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const answer = await fetch(`${server.webUrl}/admin/v2/${path}`, { method, headers, body: JSON.stringify(body) })
  assert(answer.ok, `${method} ${path}: ${answer.status} ${await answer.text()}`)
}

function schema(fields: readonly object[]): object {
  return { type: 'AVRO', schema: JSON.stringify({ type: 'record', name: 'Order', fields }), properties: { by: 'test' } }
}

/** One of each kind, and of each way in which it is set. */
async function fill(): Promise<void> {
  await call('PUT', 'tenants/acme', { adminRoles: ['boss', 'second'], allowedClusters: ['standalone'] })
  await call('PUT', 'namespaces/acme/orders', { bundles: { numBundles: 8 } })
  const orders = 'namespaces/acme/orders'
  await call('POST', `${orders}/retention`, { retentionTimeInMinutes: 60, retentionSizeInMB: -1 })
  await call('POST', `${orders}/publishRate`, { publishThrottlingRateInMsg: 10, publishThrottlingRateInByte: -1 })
  await call('POST', `${orders}/antiAffinity`, 'apart')
  await call('POST', `${orders}/encryptionRequired`, true)
  await call('POST', `${orders}/permissions/bob`, ['produce', 'consume'])
  await call('POST', `${orders}/permissions/subscription/s`, ['eve'])
  await call('PUT', 'resourcegroups/shared', { publishRateInMsgs: 100, dispatchRateInBytes: 4096 })
  await call('POST', `${orders}/resourcegroup/shared`, undefined)
  const [parts, one] = ['acme/orders/parts', 'acme/orders/one']
  await call('PUT', `persistent/${parts}/partitions`, { partitions: 3, properties: { owner: 'shop' } })
  await call('PUT', `persistent/${parts}/subscription/billing`, { properties: { k: 'v' } })
  await call('PUT', `persistent/${one}`, {})
  await call('PUT', `persistent/${one}/subscription/s`, {})
  await call('POST', `persistent/${one}/messageTTL`, 77)
  await call('POST', `persistent/${one}/maxProducers?isGlobal=true`, 7)
  await call('POST', `persistent/${one}/permissions/eve`, ['consume'])
  for (const fields of [[], [{ name: 'id', type: 'string', default: '' }]]) {
    await call('POST', `schemas/${one}/schema`, schema(fields))
  }
  // older versions are not what the policy of now would take
  await call('POST', `schemas/${parts}/schema`, schema([{ name: 'id', type: 'string' }]))
  await call('PUT', `persistent/${parts}/schemaCompatibilityStrategy`, 'ALWAYS_COMPATIBLE')
  await call('POST', `schemas/${parts}/schema`, schema([{ name: 'id', type: 'int' }]))
  await call('PUT', `persistent/${parts}/schemaCompatibilityStrategy`, 'UNDEFINED')
}

async function textOf(server: StrataProcess): Promise<string> {
  return (await run(server, 'cluster dump')).stdout
}

function edited(...changes: readonly (readonly [from: string, to: string])[]): string {
  const path = join(directory, 'edited.yaml')
  const text = changes.reduce(
    (before, [old, value]) => {
      assert(before.includes(old), `${old} is not in the dump`)
      return before.replace(old, value)
    },
    readFileSync(dumped, 'utf8')
  )
  writeFileSync(path, text)
  return path
}

describe('dump and apply', () => {
  test('an empty cluster gets to be the same, to the letter; then there is nothing to change', async () => {
    await run(from, `cluster dump --out ${dumped}`)
    const text = readFileSync(dumped, 'utf8')
    assert.equal(await textOf(from), text)
    const plan = await run(to, `cluster apply ${dumped} --dry-run`)
    assert.match(plan.stdout, /^\+ tenant acme /m)
    assert.match(plan.stdout, /^\+ topic persistent:\/\/acme\/orders\/one /m)
    assert.match(plan.stderr, /dry run: 5 to make, 0 to change, 0 to delete/)
    assert.notEqual(await textOf(to), text)
    await run(to, `cluster restore ${dumped}`)
    assert.equal(await textOf(to), text)
    assert.match((await run(to, `cluster apply ${dumped}`)).stderr, /nothing to change/)
  }, 180_000)

  test('edits are made, and nothing else', async () => {
    const path = edited(
      ['partitions: 3', 'partitions: 4'],
      ['owner: shop', 'added: here\n      owner: store'],
      ['messageTTL: 77', 'messageTTL: 78'],
      ['publishRateInMsgs: 100', 'publishRateInMsgs: 200'],
      ['retentionTimeInMinutes: 60', 'retentionTimeInMinutes: 90'],
      ['      - boss\n', '']
    )
    const plan = (await run(to, `cluster apply ${path} --json`)).stdout.split('\n').slice(0, -1)
    const fields = plan.flatMap(line => (JSON.parse(line) as { fields: { field: string }[] }).fields)
    const names = fields.map(({ field }) => field).sort()
    assert.deepEqual(names, [
      'adminRoles',
      'partitions',
      'policies.messageTTL',
      'policies.retention',
      'properties.added',
      'properties.owner',
      'publishRateInMsgs'
    ])
    assert.equal(await textOf(to), readFileSync(path, 'utf8'))
    assert.match((await run(to, `cluster apply ${path}`)).stderr, /nothing to change/)
  }, 180_000)

  test('what is not in the file stays, and goes with --prune alone', async () => {
    await call('PUT', 'persistent/acme/orders/extra', {}, to)
    await call('PUT', 'resourcegroups/shared', { replicationDispatchRateInMsgs: 9 }, to)
    await call('PUT', 'resourcegroups/passing', { publishRateInMsgs: 1 }, to)
    await call('PUT', 'tenants/passing', { adminRoles: [], allowedClusters: ['standalone'] }, to)
    await call('POST', 'namespaces/public/default/messageTTL', 5, to)
    const path = edited(['partitions: 3', 'partitions: 4'])
    const before = await textOf(to)
    const kept = await run(to, `cluster apply ${path} --dry-run --prune`)
    for (const line of [
      '- resource group passing',
      '    - replicationDispatchRateInMsgs: 9',
      '- tenant passing',
      '- topic persistent://acme/orders/extra',
      '    - policies.messageTTL: 5'
    ]) {
      assert(kept.stdout.split('\n').includes(line), kept.stdout)
    }
    assert.equal(await textOf(to), before)
    // nobody is at a terminal
    const refused = await run(to, `cluster apply ${path} --prune`, { code: 64 })
    assert.match(refused.stderr, /--yes/)
    assert.equal(await textOf(to), before)
    const { stderr } = await run(to, `cluster apply ${path}`)
    assert.match(stderr, /not in the file and stay: --prune/)
    assert((await textOf(to)).includes('persistent://acme/orders/extra'))
    await run(to, `cluster apply ${path} --prune --yes`)
    assert.equal(await textOf(to), readFileSync(path, 'utf8'))
  }, 180_000)

  test('sections that a file does not have are left alone', async () => {
    const path = join(directory, 'topics.yaml')
    writeFileSync(path, (await run(from, 'cluster dump --only tenants')).stdout)
    const before = await textOf(to)
    await run(to, `cluster apply ${path} --prune --yes`)
    assert.equal(await textOf(to), before)
  }, 180_000)

  test('what the server refuses is told by name, and the rest is done', async () => {
    const path = edited(['partitions: 3', 'partitions: 2'], ['messageTTL: 77', 'messageTTL: 79'])
    const { stderr } = await run(to, `cluster apply ${path}`, { code: 1 })
    assert.match(stderr, /acme\/orders\/parts cannot go from 4 to 2 partitions/)
    assert((await textOf(to)).includes('messageTTL: 79'))
  }, 180_000)
})

describe('secrets', () => {
  const SECRET = 'nobody-may-see-this'
  const OFFLOAD = { managedLedgerOffloadDriver: 'aws-s3', managedLedgerOffloadBucket: 'b' }
  const shape = { ...OFFLOAD, managedLedgerOffloadServiceEndpoint: 'http://127.0.0.1:1' }

  test('are in no dump, plan or answer, and stay what they are where a dump is applied', async () => {
    const policy = { ...shape, s3ManagedLedgerOffloadCredentialId: 'i', s3ManagedLedgerOffloadCredentialSecret: SECRET }
    await call('POST', 'namespaces/acme/orders/offloadPolicies', policy, to)
    const row = { serviceUrl: 'http://127.0.0.1:2', brokerClientAuthenticationParameters: `token:${SECRET}` }
    await call('PUT', 'clusters/away', row, to)
    const out = join(directory, 'secrets.yaml')
    const dump = await run(to, `cluster dump --out ${out}`)
    assert.match(
      dump.stderr,
      /not in the dump: s3ManagedLedgerOffloadCredentialSecret of namespace acme\/orders: it is a s/
    )
    const text = readFileSync(out, 'utf8')
    assert(!text.includes(SECRET))
    const own = text.replace('  away:\n', `  away:\n    brokerClientAuthenticationParameters: ${SECRET}\n`)
    writeFileSync(out, own.replace('managedLedgerOffloadBucket: b', 'managedLedgerOffloadBucket: c'))
    const lines = [
      `cluster apply ${out} --dry-run`,
      `cluster apply ${out} --dry-run --json`,
      `cluster apply ${out}`,
      'policies get acme/orders',
      'policies get acme/orders --json',
      'policies get acme/orders offloadPolicies --json',
      `policies set acme/orders offloadPolicies ${JSON.stringify(policy)} --json`,
      'clusters list --json',
      'clusters describe away --json',
      'brokers settings --json'
    ]
    for (const line of lines) {
      const { stdout, stderr } = await run(to, line)
      assert(!`${stdout}${stderr}`.includes(SECRET), `${line} shows a secret: ${stdout}${stderr}`)
      if (!line.startsWith('cluster apply') || line.includes('--dry-run')) continue
      const kept = await fetch(`${to.webUrl}/admin/v2/namespaces/acme/orders/offloadPolicies`)
      const { s3ManagedLedgerOffloadCredentialSecret, managedLedgerOffloadBucket } =
        (await kept.json()) as typeof policy
      assert.deepEqual([s3ManagedLedgerOffloadCredentialSecret, managedLedgerOffloadBucket], [SECRET, 'c'])
    }
  }, 180_000)
})

describe('a file that is wrong', () => {
  async function problems(text: string): Promise<string> {
    const path = join(directory, 'wrong.yaml')
    writeFileSync(path, text)
    const { stdout, stderr } = await run(to, `cluster apply ${path}`, { code: 64 })
    assert.equal(stdout, '')
    return stderr.replaceAll(path, 'wrong.yaml')
  }

  test('is told with line and field, everything at once', async () => {
    const told = await problems(
      [
        'format: strata-cluster/1',
        'tenants:',
        '  acme:',
        '    adminRoles: boss',
        'namespaces:',
        '  acme:',
        '    bundles: 4',
        'topics:',
        '  persistent://acme/orders/t:',
        '    partitions: none',
        '    policies:',
        '      messageTLL: 3',
        '    colour: red',
        'things: {}'
      ].join('\n')
    )
    for (const part of [
      'wrong.yaml:4: tenants.acme.adminRoles: must be a list of texts',
      'wrong.yaml:6: namespaces.acme: must be tenant/namespace',
      'wrong.yaml:10: topics.persistent://acme/orders/t.partitions: must be a whole number above 0',
      'wrong.yaml:12: topics.persistent://acme/orders/t.policies.messageTLL: there is no such policy here',
      'wrong.yaml:13: topics.persistent://acme/orders/t.colour: there is no such field',
      'wrong.yaml:14: things: there is no such section',
      'nothing was changed'
    ]) {
      assert(told.includes(part), `${part} is not in: ${told}`)
    }
  }, 180_000)

  test('also where it is no YAML, or of another form, or not there', async () => {
    assert.match(await problems('format: strata-cluster/1\ntenants:\n  a: {\n'), /wrong\.yaml:\d+: /)
    assert.match(await problems('format: strata-cluster/1\ntenants:\n  a: {}\n  a: {}\n'), /wrong\.yaml:4: .*unique/i)
    assert.match(await problems('format: strata-cluster/9\n'), /wrong\.yaml:1: format: must be strata-cluster\/1/)
    assert.match(await problems('tenants: {}\n'), /format: must be/)
    const { stderr } = await run(to, 'cluster apply /nowhere/at/all.yaml', { code: 64 })
    assert.match(stderr, /cannot be read/)
  }, 180_000)
})
