import { strict as assert } from 'node:assert'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { startStrataCommand, type CommandOptions, type Ended, type RunningCommand } from '../support/strata-command.ts'
import { startStrata, withDirectory, type StrataProcess } from '../support/strata-process.ts'

let server: StrataProcess
const directory = mkdtempSync(join(tmpdir(), 'strata-'))

beforeAll(async () => {
  server = await startStrata({ data: join(directory, 'data'), set: { strataLogLevel: 'error' } })
})

afterAll(async () => {
  assert.equal(await server.stop(), 0)
  rmSync(directory, { recursive: true, force: true })
})

function start(args: readonly string[], options: CommandOptions = {}): RunningCommand {
  const env = { STRATA_URL: server.brokerUrl, STRATA_ADMIN_URL: server.webUrl, ...options.env }
  return startStrataCommand(args, { ...options, env })
}

/** Runs `strata` to its end; the line is split at blanks. */
async function run(line: string, options: CommandOptions & { code?: number } = {}): Promise<Ended> {
  const ended = await start(line.split(' '), options).ended
  assert.equal(ended.code, options.code ?? 0, `strata ${line}: ${ended.stdout}${ended.stderr}`)
  return ended
}

async function text(line: string, options: CommandOptions = {}): Promise<string[]> {
  return (await run(line, options)).stdout.split('\n').slice(0, -1)
}

/** With `--json` every line is an object. */
async function records(line: string, options: CommandOptions = {}): Promise<Record<string, unknown>[]> {
  return (await text(`${line} --json`, options)).map(each => JSON.parse(each) as Record<string, unknown>)
}

/** Fails with one line on standard error that has all `parts`, and nothing on standard output. */
async function refused(line: string, code: number, ...parts: string[]): Promise<void> {
  const { stdout, stderr } = await run(line, { code })
  assert.equal(stdout, '')
  const lines = stderr.trim().split('\n')
  assert.equal(lines.length, 1, stderr)
  for (const part of ['strata: ', ...parts])
    assert(stderr.includes(part), `${JSON.stringify(part)} is not in: ${stderr}`)
}

const full = (name: string): string => `persistent://public/default/${name}`

describe('produce', () => {
  test('messages with key and properties, as they are read', async () => {
    const [line = ''] = await text('produce p1 --message a --message b --key k --property x=1 --property y=2')
    assert.match(line, /^published 2 messages to persistent:\/\/public\/default\/p1 \(last id \d+:\d+:-1/)
    const read = await records('read p1')
    assert.deepEqual(
      read.map(({ data, key, properties }) => ({ data, key, properties })),
      ['a', 'b'].map(data => ({ data, key: 'k', properties: { x: '1', y: '2' } }))
    )
  })

  test('lines of standard input, and ids as records', async () => {
    const stored = await records('produce p2 --rate 1000 --compression zstd', { input: 'one\ntwo\nthree' })
    assert.deepEqual(await text('read p2'), ['one', 'two', 'three'])
    assert.deepEqual(
      stored.map(each => each.messageId),
      (await records('read p2')).map(each => each.messageId)
    )
  })

  test('files, many times, unbatched', () =>
    withDirectory(async own => {
      const path = join(own, 'bytes')
      writeFileSync(path, Buffer.from([0xff, 0x00]))
      const stored = await records(`produce p3 --file ${path} --count 3 --no-batch`)
      assert.deepEqual(new Set(stored.map(each => String(each.messageId).split(':').length)), new Set([3]))
      assert.deepEqual(
        (await records('read p3')).map(each => [each.data, each.dataBase64]),
        [1, 2, 3].map(() => [undefined, '/wA='])
      )
    }))

  test('what cannot be', async () => {
    await refused('produce p4 --file /nowhere/at/all', 1, '/nowhere/at/all', 'cannot be read')
    await refused('produce a//b --message x', 64, 'tenant/namespace/name')
    await refused('produce nope/nope/t --message x', 1, 'nope/nope')
    await refused('produce p4 --count 2', 64, '--message')
    await refused('produce p4 --message x --rate 0', 64, '--rate', 'strata produce --help')
    await refused('produce p4 --message x --url http://x/y', 64, 'pulsar://host:port')
  })
})

describe('consume', () => {
  test('so many, acknowledged one by one within a batch', async () => {
    await run('produce c1 --message a --message b --message c')
    assert.deepEqual(await text('consume c1 --subscription s --earliest --count 1'), ['a'])
    const [second] = await records('consume c1 --subscription s --count 1')
    assert.equal(second?.data, 'b')
    assert.deepEqual(await text('consume c1 --subscription s --count 1'), ['c'])
    await refused2('consume c1 --subscription s --timeout 200ms', 'nothing came from c1')
  })

  test('unacknowledged, they come again', async () => {
    await run('produce c2 --message a --key k')
    for (const type of ['shared', 'failover', 'key-shared']) {
      assert.deepEqual(await text(`consume c2 --subscription ${type} --type ${type} --earliest --count 1 --no-ack`), [
        'a'
      ])
      const [again = ''] = await text(`consume c2 --subscription ${type} --type ${type} --count 1 --verbose`)
      assert.match(again, /^\d{4}-\S+Z \d+:\d+:\S+ key:k\ta$/)
    }
  })

  test('fewer than asked for', async () => {
    await run('produce c3 --message a')
    await refused2('consume c3 --subscription s --earliest --count 2 --timeout 300ms', '1 of 2 messages')
  })

  test('several topics, and a pattern', async () => {
    await run('produce many-1 --message a')
    await run('produce many-2 --message b')
    const two = await text('consume many-1 many-2 --subscription s --earliest --count 2')
    assert.deepEqual(two.sort(), ['a', 'b'])
    const matching = await records('consume public/default/many-.* --pattern --subscription p --earliest --count 2')
    assert.deepEqual(matching.map(each => each.topic).sort(), [full('many-1'), full('many-2')])
  })

  test('Ctrl-C ends it with a summary', async () => {
    await run('produce c4 --message a')
    const consuming = start(['consume', 'c4', '--subscription', 's', '--earliest'])
    await consuming.lines(1)
    consuming.child.kill('SIGINT')
    const { code, stderr } = await consuming.ended
    assert.equal(code, 0)
    assert.match(stderr, /received 1 message, acknowledged/)
    const [stats] = await records('subscriptions stats c4 s')
    assert.equal(stats?.msgBacklog, 0)
  })

  test('another consumer, and no subscription', async () => {
    const holder = start(['consume', 'c5', '--subscription', 's', '--earliest'])
    await run('produce c5 --message a')
    await holder.lines(1)
    await refused('consume c5 --subscription s --timeout 1s', 1, 'CONSUMER_BUSY', '--type shared')
    holder.child.kill('SIGINT')
    assert.equal((await holder.ended).code, 0)
    await refused('consume c5', 64, '--subscription', 'strata consume --help')
    await refused('consume c5 --subscription s --type some', 64, 'key-shared')
  })

  test('the end of a terminated topic is the end', async () => {
    await run('produce c6 --message a')
    await run('topics terminate c6')
    assert.deepEqual(await text('consume c6 --subscription s --earliest'), ['a'])
    await refused('produce c6 --message late', 1, 'TOPIC_TERMINATED')
  })
})

/** Exit code 2: less came than was asked for. The summary is a line of its own. */
async function refused2(line: string, part: string): Promise<void> {
  const { stderr } = await run(line, { code: 2 })
  assert(stderr.includes(part), stderr)
}

describe('read', () => {
  test('from an id, a time, an age and the end', async () => {
    await run('produce r1 --message a --message b --no-batch')
    const [first, second] = await records('read r1')
    assert.deepEqual(await text(`read r1 --from ${String(second?.messageId)}`), ['b'])
    assert.deepEqual(await text(`read r1 --from ${String(first?.publishTime)}`), ['a', 'b'])
    assert.deepEqual(await text('read r1 --from 1h --count 1'), ['a'])
    assert.deepEqual(await text('read r1 --from 2100-01-01T00:00Z'), [])
    assert.deepEqual(await text('read r1 --from latest'), ['b'])
    await refused2('read r1 --count 3', '2 of 3 messages')
    await refused('read r1 --from then', 64, 'earliest')
    await refused('read r1 --timeout 1s', 64, '--follow')
  })

  test('on and on', async () => {
    await run('produce r2 --message a')
    const reading = start(['read', 'r2', '--follow'])
    await reading.lines(1)
    await run('produce r2 --message b')
    assert.deepEqual(await reading.lines(2), ['a', 'b'])
    reading.child.kill('SIGINT')
    const { code, stderr } = await reading.ended
    assert.equal(code, 0)
    assert.match(stderr, /read 2 messages/)
  })

  test('an id in a partitioned topic names its partition', async () => {
    await run('topics create r3 --partitions 2')
    const stored = await records('produce r3 --message a --message b --key k')
    const [read] = await records(`read r3 --from ${String(stored[0]?.messageId)} --count 1`)
    assert.equal(read?.data, 'a')
    await refused('read r3 --from 0:0', 64, '2 partitions')
  })
})

describe('topics', () => {
  test('are made, grown, listed and deleted', async () => {
    assert.deepEqual(await records('topics create t1 --partitions 2 --property owner=me'), [
      { topic: full('t1'), created: true, partitions: 2 }
    ])
    assert.deepEqual(await text('topics partitions t1'), ['2'])
    assert.deepEqual(await records('topics partitions t1 --set 3'), [{ topic: full('t1'), partitions: 3 }])
    assert((await text('topics list')).includes(full('t1-partition-2')))
    assert((await records('topics list public/default --partitioned')).some(each => each.topic === full('t1')))
    await refused('topics create t1 --partitions 2', 1, 'topics list')
    await run('topics unload t1')
    assert.equal((await text('topics last-message-id t1')).length, 3)
    await run('topics delete t1 --yes')
    assert(!(await text('topics list')).some(each => each.startsWith(full('t1'))))
    await refused('topics stats t1', 1, full('t1'), 'topics list')
  })

  test('tell how they are', async () => {
    await run('topics create t2')
    await run('produce t2 --message a --message b --no-batch')
    await run('subscriptions create t2 s --from earliest')
    const [stats] = await records('topics stats t2')
    assert.equal(stats?.msgInCounter, 2)
    const shown = (await text('topics stats t2')).join('\n')
    assert.match(shown, /messages published +2\n/)
    assert.match(shown, /\ns +\S+ +2 +0 +0 +/)
    const [internal] = await records('topics stats t2 --internal')
    assert(Array.isArray(internal?.ledgers))
    const [last] = await records('topics last-message-id t2')
    const ids = (await records('read t2')).map(each => each.messageId)
    assert.equal(last?.messageId, ids[1])
    await run('topics truncate t2 --yes')
    const [cleared] = await records('subscriptions stats t2 s')
    assert.equal(cleared?.msgBacklog, 0)
  })

  test('do not go while they are used, unless forced', async () => {
    await run('produce t3 --message a')
    const reading = start(['read', 't3', '--follow'])
    await reading.lines(1)
    await refused('topics delete t3 --yes', 1, '--force')
    await run('topics delete t3 --force --yes')
    reading.child.kill('SIGINT')
    await reading.ended
  })
})

describe('subscriptions', () => {
  test('are made, moved, skipped, cleared and deleted', async () => {
    await run('produce s1 --message a --message b --message c --no-batch')
    const [, second] = await records('read s1')
    const backlog = async (name: string): Promise<unknown> =>
      (await records(`subscriptions stats s1 ${name}`))[0]?.msgBacklog
    await run('subscriptions create s1 end')
    await run(`subscriptions create s1 middle --from ${String(second?.messageId)}`)
    await run('subscriptions create s1 hour --from 1h')
    assert.deepEqual(await text('subscriptions list s1'), ['end', 'hour', 'middle'])
    assert.deepEqual([await backlog('end'), await backlog('middle'), await backlog('hour')], [0, 2, 3])
    await run('subscriptions seek s1 end --to earliest')
    await run('subscriptions skip s1 end --count 1')
    assert.equal(await backlog('end'), 2)
    await run('subscriptions seek s1 end --to latest')
    await run('subscriptions clear s1 middle --yes')
    await run('subscriptions expire s1 hour --older-than 1d')
    assert.deepEqual([await backlog('end'), await backlog('middle'), await backlog('hour')], [0, 0, 3])
    assert.deepEqual(await records('subscriptions delete s1 end --yes'), [
      { topic: full('s1'), subscription: 'end', deleted: true }
    ])
    assert.deepEqual(await text('subscriptions list s1'), ['hour', 'middle'])
    await refused('subscriptions delete s1 end --yes', 1, 'end', 'subscriptions list')
    await refused('subscriptions stats s1 end', 1, 'end', 'subscriptions list')
    await refused('subscriptions create s1 hour', 1, 'exists')
    await refused('subscriptions skip s1 hour', 64, '--count')
  })
})

describe('perf', () => {
  test('produce, consume and read count what was sent', async () => {
    const sent = await records('perf produce f1 --messages 500 --size 100 --topics 2 --producers 2 --keys 10')
    const summary = sent.at(-1)
    assert.deepEqual([summary?.event, summary?.messages, summary?.failed], ['summary', 500, 0])
    assert((summary?.latencyMs as { p99: number }).p99 > 0)
    for (const command of ['consume f1 --earliest --type shared --consumers 2', 'read f1']) {
      const got = (await records(`perf ${command} --topics 2 --messages 500`)).at(-1)
      assert.deepEqual([got?.event, got?.messages], ['summary', 500], command)
    }
  })

  test('at a rate, for a time, with a warm-up, each second told', async () => {
    const lines = await text('perf produce f2 --rate 200 --no-batch --warm-up 200ms --duration 1500ms')
    assert.match(lines[0] ?? '', /warming up/)
    assert.match(lines[1] ?? '', /^ +1 s .* msg\/s .* MB\/s +ms: mean .* p50 .* p99\.9 .* max/)
    assert.match(lines.at(-1) ?? '', /total/)
    const measured = Number(/^(\d+) messages/.exec(lines.at(-2) ?? '')?.[1])
    // what the machine was too busy for is not made up; more than the rate is never sent
    assert(measured > 0 && measured <= 400, String(measured))
  })

  test('Ctrl-C ends it with a summary', async () => {
    const running = start(['perf', 'consume', 'f3', '--json'])
    await running.lines(1)
    running.child.kill('SIGINT')
    const { code, stdout } = await running.ended
    assert.equal(code, 0)
    assert.match(stdout.trim().split('\n').at(-1) ?? '', /"event":"summary"/)
  })
})

describe('every command', () => {
  const groups: Readonly<Record<string, readonly string[]>> = {
    topics: ['create', 'delete', 'list', 'stats', 'last-message-id', 'partitions', 'unload', 'terminate', 'truncate'],
    subscriptions: ['create', 'delete', 'list', 'stats', 'skip', 'clear', 'expire', 'seek'],
    namespaces: ['list', 'describe', 'create', 'delete', 'clear-backlog', 'unload', 'bundles', 'split', 'quota'],
    permissions: ['list', 'grant', 'revoke'],
    schemas: ['list', 'show', 'add', 'check', 'delete'],
    brokers: ['list', 'health', 'owned', 'settings', 'set', 'unset'],
    clusters: ['list', 'describe', 'create', 'update', 'delete'],
    cluster: ['dump', 'apply'],
    tenants: ['list', 'describe', 'usage', 'create', 'update', 'delete'],
    policies: ['names', 'get', 'set', 'remove'],
    perf: ['produce', 'consume', 'read'],
    bookies: ['list', 'describe'],
    ledgers: ['list', 'describe', 'why', 'read', 'verify', 'recover'],
    metadata: ['backup', 'verify', 'restore', 'export'],
    upgrade: ['status', 'finalize'],
    config: ['describe']
  }
  const servers = ['standalone', 'broker', 'bookie', 'proxy', 'dev-cluster']
  const single = [...servers, 'init-cluster', 'rolling-restart', 'produce', 'consume', 'read', 'audit', 'completion']
  const paths = [
    ...single,
    ...Object.entries(groups).flatMap(([group, subs]) => [group, ...subs.map(sub => `${group} ${sub}`)])
  ]

  test('is in the help, and has help of its own with an example', async () => {
    const { stdout } = await run('--help')
    for (const name of [...single, ...Object.keys(groups)]) assert.match(stdout, new RegExp(`^ {2}${name}\\b`, 'm'))
    for (const path of paths) {
      const help = (await run(`${path} --help`)).stdout
      const example = path === 'config' ? 'Usage: strata config' : `\n  strata ${path}`
      assert(help.includes(example) || help.includes(`(strata ${path}`), `${path}: no example in\n${help}`)
    }
  }, 180_000)

  test('is completed by bash, with its options and their values', async () => {
    const { stdout } = await run('completion bash')
    const complete = (...words: string[]): string[] => {
      const script = `${stdout}\nCOMP_WORDS=(strata ${words.map(word => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}; _strata; printf '%s\\n' "\${COMPREPLY[@]}"`
      const { stdout: reply, status, stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8' })
      assert.equal(status, 0, stderr)
      return reply.split('\n').slice(0, -1)
    }
    assert.deepEqual(complete('sub'), ['subscriptions'])
    assert.deepEqual(complete('topics', 'par'), ['partitions'])
    assert.deepEqual(complete('topics', 'partitions', 'my-topic', '--s'), ['--set'])
    assert.deepEqual(complete('consume', 't', '--type', 'f'), ['failover'])
    assert.deepEqual(complete('completion', ''), ['bash', 'zsh', '--help'])
    for (const path of paths) assert(complete(...path.split(' '), '').includes('--help'), path)
  })

  test('is completed by zsh', async () => {
    const { stdout } = await run('completion zsh')
    assert.match(stdout, /^#compdef strata\n/)
    for (const path of paths) assert(stdout.includes(`"${path}") compadd -- `), path)
    await refused('completion fish', 64, 'bash, zsh')
  })

  test('says what to do where nothing listens', async () => {
    const nowhere = 'pulsar://127.0.0.1:1'
    for (const line of ['produce t --message x', 'consume t --subscription s', 'read t', 'perf read t']) {
      await refused(`${line} --url ${nowhere}`, 1, nowhere, 'strata standalone', '--url')
    }
    for (const line of ['topics list', 'subscriptions list t']) {
      await refused(
        `${line} --admin-url http://127.0.0.1:1`,
        1,
        'http://127.0.0.1:1',
        'strata standalone',
        '--admin-url'
      )
    }
    await refused('topics list --admin-url nonsense', 64, 'http://host:port')
    await refused('topics list nonsense', 64, 'tenant/namespace')
    await refused('prodcue t', 64, 'produce', 'strata --help')
  })

  test('config describe has a record for each setting', async () => {
    const settings = await records('config describe')
    const port = settings.find(each => each.key === 'brokerServicePort')
    assert.equal(port?.default, 6650)
  })
})

test('a server that starts loads nothing of the client side', () =>
  withDirectory(async own => {
    const coverage = join(own, 'coverage')
    mkdirSync(coverage)
    const ports = ['--set', 'brokerServicePort=0', '--set', 'webServicePort=0']
    const starting = startStrataCommand(['standalone', '--json', '--data', join(own, 'data'), ...ports], {
      env: { NODE_V8_COVERAGE: coverage }
    })
    await starting.lines(1)
    starting.child.kill('SIGINT')
    assert.equal((await starting.ended).code, 0)
    // the only list of loaded modules that a process gives of itself
    const urls = readdirSync(coverage).flatMap(name => {
      const { result } = JSON.parse(readFileSync(join(coverage, name), 'utf8')) as { result: { url: string }[] }
      return result.map(({ url }) => url)
    })
    assert(urls.some(url => url.includes('/services/standalone/')))
    const unwanted = urls.filter(url =>
      /\/libs\/client\/|\/hdr-histogram-js\/|\/undici\/|\/commands\/(?!standalone)/.test(url)
    )
    assert.deepEqual(unwanted, [])
  }))
