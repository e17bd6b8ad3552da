import { strict as assert } from 'node:assert'
import { silentLogger, systemClock } from '@strata/base'
import fc from 'fast-check'
import { describe, test } from 'vitest'
import { proxyErrors } from '../errors.ts'
import type { ProxySettings } from '../settings.ts'
import { settingsOf } from '../testing/world.ts'
import { addressesOfUrl, parseHostPort } from './address.ts'
import { BrokerDirectory } from './broker-directory.ts'
import { matchesWildcard, TargetCheck } from './target-check.ts'

const KNOWN: Readonly<Record<string, string>> = {
  'broker-1.brokers.svc': '10.1.2.3',
  'metadata.internal': '169.254.169.254',
  'broker-6.brokers.svc': 'fd00::7'
}

async function checkOf(changes: Partial<ProxySettings>): Promise<TargetCheck> {
  const settings = settingsOf({
    brokerServiceURL: 'pulsar://fixed:6650',
    brokerWebServiceURL: 'http://fixed:8080',
    ...changes
  })
  const directory = await BrokerDirectory.open({
    settings,
    metadata: undefined,
    clock: systemClock,
    logger: silentLogger
  })
  const resolve = (host: string): Promise<string> =>
    KNOWN[host] === undefined ? Promise.reject(new Error('ENOTFOUND')) : Promise.resolve(KNOWN[host])
  return new TargetCheck(settings, directory, resolve)
}

async function assertDenied(check: TargetCheck, ...targets: readonly string[]): Promise<void> {
  for (const target of targets) {
    await assert.rejects(check.resolve(target), error => proxyErrors.is(error, 'TARGET_DENIED'), target)
  }
}

describe('where clients may be connected to', () => {
  test('by default only brokers that are known', async () => {
    const check = await checkOf({})
    assert.deepEqual(await check.resolve('fixed:6650'), { host: 'fixed', port: 6650 })
    assert.deepEqual(await check.resolve('FIXED:6650'), { host: 'fixed', port: 6650 })
    await assertDenied(
      check,
      'fixed:6651',
      'fixed:8080',
      'broker-1.brokers.svc:6650',
      '127.0.0.1:2379',
      '10.1.2.3:6650'
    )
  })

  test('what is no address', async () => {
    const check = await checkOf({ brokerProxyAllowedHostNames: '*', brokerProxyAllowedTargetPorts: '*' })
    const hosts = [
      'fixed',
      'fixed:',
      ':6650',
      'fixed:0',
      'fixed:65536',
      'fixed:6650 ',
      'a/b:1',
      'a@b:1',
      '',
      `${'a'.repeat(300)}:1`
    ]
    await assertDenied(check, 'pulsar://fixed:6650', ...hosts)
  })

  test('hosts, ports and networks that the settings allow, all three', async () => {
    const check = await checkOf({
      brokerProxyAllowedHostNames: '*.brokers.svc, metadata.internal',
      brokerProxyAllowedIPAddresses: '10.0.0.0/8,fd00::/16'
    })
    // the name goes along: it is what a certificate is held against
    const [first, sixth] = ['broker-1.brokers.svc', 'broker-6.brokers.svc']
    assert.deepEqual(await check.resolve('Broker-1.brokers.svc:6650'), { host: '10.1.2.3', port: 6650, name: first })
    assert.deepEqual(await check.resolve(`${sixth}:6651`), { host: 'fd00::7', port: 6651, name: sixth })
    // a port, a host and an address that are not
    await assertDenied(check, 'broker-1.brokers.svc:22', 'elsewhere:6650', 'metadata.internal:6650')
    await assert.rejects(check.resolve('broker-9.brokers.svc:6650'), error =>
      proxyErrors.is(error, 'BROKER_UNREACHABLE')
    )
  })

  test('checkActiveBrokers takes the lists away', async () => {
    const check = await checkOf({ brokerProxyAllowedHostNames: '*', checkActiveBrokers: true })
    await assertDenied(check, 'broker-1.brokers.svc:6650')
    await check.resolve('fixed:6650')
  })

  test('redirects over HTTP lead to web addresses of brokers, or to hosts that are allowed', async () => {
    const strict = await checkOf({})
    assert.deepEqual(await strict.resolveWeb('fixed:8080'), { host: 'fixed', port: 8080 })
    await assert.rejects(strict.resolveWeb('fixed:6650'), error => proxyErrors.is(error, 'TARGET_DENIED'))
    const open = await checkOf({ brokerProxyAllowedHostNames: '*.svc', brokerProxyAllowedIPAddresses: '10.0.0.0/8' })
    const name = 'broker-1.brokers.svc'
    assert.deepEqual(await open.resolveWeb(`${name}:8080`), { host: '10.1.2.3', port: 8080, name })
    await assert.rejects(open.resolveWeb('metadata.internal:80'), error => proxyErrors.is(error, 'TARGET_DENIED'))
  })

  test('settings that say nothing sensible stop the start', async () => {
    await assert.rejects(checkOf({ brokerProxyAllowedTargetPorts: '6650,x' }), /brokerProxyAllowedTargetPorts: x/)
    await assert.rejects(checkOf({ brokerProxyAllowedIPAddresses: '10.0.0.0/33' }), /10\.0\.0\.0\/33/)
    await assert.rejects(checkOf({ brokerProxyAllowedIPAddresses: 'ten' }), /ten/)
    await assert.rejects(checkOf({ brokerServiceURL: 'pulsar+ssl://a:6651' }), /brokerServiceURL=pulsar\+ssl/)
    await assert.rejects(checkOf({ brokerWebServiceURL: '' }), /metadataStoreUrl/)
  })
})

describe('addresses', () => {
  test('hosts of a URL', () => {
    assert.deepEqual(addressesOfUrl('pulsar://a:1,[::1]:2,B', 'pulsar'), [
      { host: 'a', port: 1 },
      { host: '::1', port: 2 },
      { host: 'b', port: 6650 }
    ])
    assert.deepEqual(addressesOfUrl('http://a/', 'http'), [{ host: 'a', port: 8080 }])
    for (const url of ['http://a', 'pulsar://', 'pulsar://a:x', 'pulsar://a,,b', 'pulsar://a:1/x']) {
      assert.equal(addressesOfUrl(url, 'pulsar'), undefined, url)
    }
  })

  test('anything else is none, whatever it is', () => {
    fc.assert(
      fc.property(fc.string(), text => {
        const address = parseHostPort(text)
        assert(address === undefined || (address.port > 0 && address.host !== ''))
      })
    )
  })

  test('a wildcard matches as a regular expression would', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 8 })
    const pattern = fc.string({ unit: fc.constantFrom('a', 'b', '.', '*'), maxLength: 6 })
    fc.assert(
      fc.property(pattern, letters, (glob, text) => {
        const expression = new RegExp(`^${glob.replaceAll('.', '\\.').replaceAll(/\*+/g, '.*')}$`)
        assert.equal(matchesWildcard(glob, text), expression.test(text))
      })
    )
  })
})
