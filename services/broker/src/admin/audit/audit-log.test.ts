import { strict as assert } from 'node:assert'
import { appendFile, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger } from '@strata/base'
import { afterEach, beforeEach, describe, test } from 'vitest'
import { RecordingLogger } from '../../auth/testing/recording-logger.ts'
import { AuditLog, readAuditLog, type AuditRecord } from './audit-log.ts'
import { shownBody, shownQuery } from './shown.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'strata-audit-'))
})
afterEach(async () => {
  await rm(folder, { recursive: true, force: true })
})

function record(operation: string): AuditRecord {
  const fixed = { time: '2026-01-01T00:00:00.000Z', broker: 'b', roles: ['root'], address: '::1' }
  return { ...fixed, operation, method: 'PUT', path: '/x', status: 204 }
}

async function operationsIn(path: string): Promise<string[]> {
  const found: string[] = []
  for await (const { operation } of readAuditLog(path)) found.push(operation)
  return found
}

describe('files of the audit log', () => {
  test('are begun anew when full; the oldest goes; what stays is read in order', async () => {
    const path = join(folder, 'audit.log')
    const lineBytes = Buffer.byteLength(`${JSON.stringify(record('op-00'))}\n`)
    const log = new AuditLog({ path, fileBytesMax: 2 * lineBytes, filesMax: 3, logger: silentLogger })
    const all = Array.from({ length: 11 }, (_, index) => `op-${String(index).padStart(2, '0')}`)
    await Promise.all(all.map(operation => log.append(record(operation))))
    assert.deepEqual((await readdir(folder)).sort(), ['audit.log', 'audit.log.1', 'audit.log.2'])
    assert.deepEqual(await operationsIn(path), ['op-06', 'op-07', 'op-08', 'op-09', 'op-10'])
    assert.equal((await stat(path)).mode & 0o077, 0, 'for its owner alone')
  })

  test('go on after a restart, behind whatever a crash left', async () => {
    const path = join(folder, 'audit.log')
    const options = { path, fileBytesMax: 10_000, filesMax: 1, logger: silentLogger }
    await new AuditLog(options).append(record('first'))
    await appendFile(path, '{"time":"2026\n')
    await new AuditLog(options).append(record('second'))
    assert.deepEqual(await operationsIn(path), ['first', 'second'])
  })

  test('one alone is begun anew in its place', async () => {
    const path = join(folder, 'audit.log')
    const log = new AuditLog({ path, fileBytesMax: 1, filesMax: 1, logger: silentLogger })
    for (const operation of ['a', 'b', 'c']) await log.append(record(operation))
    assert.deepEqual(await operationsIn(path), ['c'])
  })

  test('that cannot be written stop nothing, and are told of', async () => {
    const logger = new RecordingLogger()
    const log = new AuditLog({ path: join(folder, 'no', 'such'), fileBytesMax: 1000, filesMax: 1, logger })
    await log.append(record('deleteTenant'))
    assert.equal(logger.lines.length, 1)
    assert.match(logger.lines.join(), /audit\.write_failed.*deleteTenant/)
  })
})

describe('what is shown of a body', () => {
  test('no secrets, wherever they stand; nothing long, and nothing that is no JSON', () => {
    const body = { a: 1, s3Secret: 'x', list: [{ Password: 'y', ok: true }], deep: { accessKeyId: 'k', roles: ['r'] } }
    assert.deepEqual(shownBody(Buffer.from(JSON.stringify(body))), {
      a: 1,
      s3Secret: '(hidden)',
      list: [{ Password: '(hidden)', ok: true }],
      deep: { accessKeyId: '(hidden)', roles: ['r'] }
    })
    assert.deepEqual(shownBody(Buffer.from('a token')), { bytes: 7 })
    assert.deepEqual(shownBody(Buffer.from(JSON.stringify('x'.repeat(5000)))), { bytes: 5002 })
    assert.equal(shownBody(Buffer.alloc(0)), undefined)
    assert.deepEqual(shownQuery({ force: 'true', token: 'x' }), { force: 'true', token: '(hidden)' })
  })
})
