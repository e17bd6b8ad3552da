import { strict as assert } from 'node:assert'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { configErrors, silentLogger } from '@strata/base'
import { describe, test } from 'vitest'
import { openMetadataStore, parseMetadataUrl } from './metadata-door.ts'

const etcd = { kind: 'etcd', endpoints: ['a:2379'], isTls: false, prefix: '/strata/' }

describe('where metadata is', () => {
  test('is said in these forms', () => {
    assert.deepEqual(parseMetadataUrl('etcd:http://a:2379'), etcd)
    assert.deepEqual(parseMetadataUrl('etcd://a:2379/'), etcd)
    assert.deepEqual(parseMetadataUrl('etcd:https://a:2379,[::1]:2380/east'), {
      ...etcd,
      endpoints: ['a:2379', '[::1]:2380'],
      isTls: true,
      prefix: '/east/'
    })
    assert.deepEqual(parseMetadataUrl('etcd:http://a:2379,http://b:2379/x/').kind, 'etcd')
    assert.deepEqual(parseMetadataUrl('level:data/metadata'), { kind: 'level', directory: 'data/metadata' })
    assert.deepEqual(parseMetadataUrl('level:///var/lib/strata'), { kind: 'level', directory: '/var/lib/strata' })
  })

  for (const url of [
    '',
    'zk:localhost:2181',
    'etcd:localhost',
    'etcd://a',
    'etcd:http://a:b',
    'level:',
    'http://a:2379'
  ]) {
    test(`and in no other: "${url}"`, () => {
      assert.throws(
        () => parseMetadataUrl(url),
        error => configErrors.is(error, 'BAD_SETTING') && /metadataStoreUrl/.test(error.message)
      )
    })
  }

  test('a command does not make a store by looking for one, and a wrong key is named', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'strata-door-'))
    const open = (url: string, configPath = ''): Promise<unknown> =>
      openMetadataStore(url, { configPath, logger: silentLogger, mustExist: true })
    await assert.rejects(open(`level:${directory}`), /no store is there/)
    const config = join(directory, 'etcd.conf')
    writeFileSync(config, 'useTls=true\n')
    await assert.rejects(open('etcd://a:1', config), /there is no key useTls/)
    writeFileSync(config, `tlsTrustCertsFilePath=${config}\n`)
    await assert.rejects(open('etcd://a:1', config), /etcd:https/)
    await assert.rejects(open('etcd://a:1', join(directory, 'none')), /metadataStoreConfigPath/)
    rmSync(directory, { recursive: true })
  })
})
