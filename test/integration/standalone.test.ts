import { strict as assert } from 'node:assert'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, test } from 'vitest'
import { startStrata, STRATA, withDirectory } from '../support/strata-process.ts'

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

async function strata(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const child = spawn(process.execPath, [STRATA, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const [code] = (await once(child, 'exit')) as [number | null]
  return { code, stdout, stderr }
}

/** One clear line that names what to change, and nothing else. */
function assertOneLine({ stderr }: Ended, ...parts: readonly string[]): void {
  const lines = stderr.trim().split('\n')
  assert.equal(lines.length, 1, stderr)
  for (const part of parts) assert(stderr.includes(part), `${JSON.stringify(part)} is not in: ${stderr}`)
}

const FREE_PORTS = ['--set', 'brokerServicePort=0', '--set', 'webServicePort=0']

describe('what stops a start', () => {
  test('a taken port', () =>
    withDirectory(async data => {
      const other = createServer()
      other.listen(0, '127.0.0.1')
      await once(other, 'listening')
      const { port } = other.address() as { port: number }
      const ended = await strata([
        'standalone',
        '--data',
        data,
        '--set',
        `brokerServicePort=${port}`,
        '--set',
        'webServicePort=0'
      ])
      other.close()
      assert.notEqual(ended.code, 0)
      assertOneLine(ended, String(port), 'brokerServicePort')
    }))

  test('a data directory in use, and by whom', () =>
    withDirectory(async data => {
      const running = await startStrata({ data })
      const ended = await strata(['standalone', '--data', data, ...FREE_PORTS])
      assert.notEqual(ended.code, 0)
      assertOneLine(ended, data, String(running.pid), '--data')
      assert.equal(await running.stop(), 0)
    }))

  test('a data directory that cannot be written', () =>
    withDirectory(async parent => {
      // a file where a directory must be: refused to every user, also to one who may write anywhere
      const data = join(parent, 'data')
      writeFileSync(data, '')
      chmodSync(data, 0o400)
      const ended = await strata(['standalone', '--data', data, ...FREE_PORTS])
      assert.notEqual(ended.code, 0)
      assertOneLine(ended, data, '--data')
    }))

  test('too little disk', () =>
    withDirectory(async data => {
      const ended = await strata(['standalone', '--data', data, ...FREE_PORTS, '--set', 'strataDiskReserveMB=1048576'])
      assert.notEqual(ended.code, 0)
      assertOneLine(ended, 'strataDiskReserveMB')
    }))

  test('an unknown key, a malformed one, one that Apache Pulsar has and one that is not available, all at once', () =>
    withDirectory(async parent => {
      const conf = join(parent, 'standalone.conf')
      writeFileSync(conf, '# a comment\nbrokerServicePorts=1\nwebServicePort=eighty\nzookeeperServers=a:2181\n')
      const ended = await strata(['standalone', '--data', join(parent, 'data'), '--conf', conf])
      assert.equal(ended.code, 78)
      const lines = ended.stderr.trim().split('\n')
      assert.equal(lines.length, 3, ended.stderr)
      assert(lines[0]?.includes('brokerServicePorts') && lines[0].includes('line 2'), ended.stderr)
      assert(lines[1]?.includes('webServicePort=eighty') && lines[1].includes('line 3'), ended.stderr)
      assert(lines[2]?.includes('zookeeperServers') && lines[2].includes('no ZooKeeper'), ended.stderr)
      const unavailable = await strata([
        'standalone',
        '--data',
        join(parent, 'data'),
        '--set',
        'webSocketServiceEnabled=true'
      ])
      assert.equal(unavailable.code, 78)
      assertOneLine(unavailable, 'webSocketServiceEnabled')
    }))
})

describe('settings', () => {
  test('flags win over the environment, and that over the file; --lenient warns', () =>
    withDirectory(async parent => {
      const conf = join(parent, 'standalone.conf')
      writeFileSync(
        conf,
        'clusterName=from-file\nkeepAliveIntervalSeconds=11\nmaxMessageSize=2000000\nzookeeperServers=a:2181\n'
      )
      const child = spawn(
        process.execPath,
        [
          STRATA,
          'standalone',
          '--json',
          '--lenient',
          '--data',
          join(parent, 'data'),
          '--conf',
          conf,
          ...FREE_PORTS,
          '--set',
          'clusterName=from-flag'
        ],
        {
          env: {
            ...process.env,
            STRATA_KEEP_ALIVE_INTERVAL_SECONDS: '22',
            PULSAR_PREFIX_clusterName: 'from-environment'
          },
          stdio: ['ignore', 'pipe', 'pipe']
        }
      )
      let stderr = ''
      child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
      const [chunk] = (await once(child.stdout, 'data')) as [Buffer]
      const { webUrl } = JSON.parse(chunk.toString().split('\n')[0] as string) as { webUrl: string }
      const settings = (await (await fetch(`${webUrl}/admin/v2/brokers/configuration/runtime`)).json()) as Record<
        string,
        unknown
      >
      assert.equal(settings['clusterName'], 'from-flag')
      assert.equal(String(settings['keepAliveIntervalSeconds']), '22')
      assert.equal(String(settings['maxMessageSize']), '2000000')
      assert(stderr.includes('zookeeperServers'), stderr)
      child.kill('SIGINT')
      const [code] = (await once(child, 'exit')) as [number]
      assert.equal(code, 0)
    }))

  test('config describe prints the table that the documentation has', async () => {
    const ended = await strata(['config', 'describe'])
    assert.equal(ended.code, 0)
    assert(ended.stdout.includes('| `brokerServicePort` | number |'))
  })
})

describe('stopping', () => {
  test('Ctrl-C closes within two seconds, with data on disk and a client connected', () =>
    withDirectory(async data => {
      mkdirSync(data, { recursive: true })
      const running = await startStrata({ data })
      const health = await fetch(`${running.webUrl}/admin/v2/brokers/health`)
      assert.equal(await health.text(), 'ok')
      const startedAt = performance.now()
      assert.equal(await running.stop(), 0)
      assert(performance.now() - startedAt < 2000)
      const again = await startStrata({ data })
      assert.equal(await again.stop(), 0)
    }))
})
