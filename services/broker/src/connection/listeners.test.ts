import { strict as assert } from 'node:assert'
import { describe, test } from 'vitest'
import { isBrokerError } from '../errors.ts'
import { Listeners, type ListenerSettings } from './listeners.ts'

const NONE: ListenerSettings = {
  bindAddress: '127.0.0.1',
  bindAddresses: '',
  brokerServicePort: 6650,
  brokerServicePortTls: -1,
  advertisedAddress: '',
  advertisedListeners: '',
  internalListenerName: ''
}
const FROM_HERE = {
  listenerName: '',
  localAddress: '127.0.0.1',
  remoteAddress: '127.0.0.1',
  ports: { broker: 6650, brokerTls: -1, web: 8080, webTls: -1 }
}
const FROM_AFAR = { ...FROM_HERE, localAddress: '::ffff:172.17.0.2', remoteAddress: '::ffff:10.1.2.3' }
const TWO = 'inside:pulsar://b1:6650,inside:http://b1:8080,outside:pulsar://b.example.com:16650'

describe('the address a client is told', () => {
  test('with nothing configured: where it came in, and its own way is kept', () => {
    const route = new Listeners(NONE).route(FROM_AFAR)
    assert.deepEqual([route.brokerUrl, route.httpUrl], ['pulsar://172.17.0.2:6650', 'http://172.17.0.2:8080'])
    assert.equal(route.isProxied, true)
    const six = new Listeners(NONE).route({ ...FROM_HERE, localAddress: '::1' })
    assert.equal(six.brokerUrl, 'pulsar://[::1]:6650')
  })

  test('advertisedAddress is told as it is; a loopback one keeps remote clients on their way', () => {
    const named = new Listeners({ ...NONE, advertisedAddress: 'b.example.com' })
    assert.deepEqual(
      [named.route(FROM_AFAR).brokerUrl, named.route(FROM_AFAR).isProxied],
      ['pulsar://b.example.com:6650', false]
    )
    const loopback = new Listeners({ ...NONE, advertisedAddress: 'localhost' })
    assert.equal(loopback.route(FROM_AFAR).isProxied, true)
    assert.equal(loopback.route(FROM_HERE).isProxied, false)
  })

  test('a listener by its name; without one the internal listener, or else the first', () => {
    const listeners = new Listeners({ ...NONE, advertisedListeners: TWO, internalListenerName: 'outside' })
    assert.equal(listeners.route({ ...FROM_HERE, listenerName: 'inside' }).brokerUrl, 'pulsar://b1:6650')
    assert.equal(listeners.route({ ...FROM_HERE, listenerName: 'inside' }).httpUrl, 'http://b1:8080')
    assert.equal(listeners.route(FROM_HERE).brokerUrl, 'pulsar://b.example.com:16650')
    const first = new Listeners({ ...NONE, advertisedListeners: TWO })
    assert.equal(first.route(FROM_HERE).brokerUrl, 'pulsar://b1:6650')
  })

  test('an unknown listener is refused in the words that clients look for', () => {
    for (const advertisedListeners of ['', TWO]) {
      const listeners = new Listeners({ ...NONE, advertisedListeners })
      assert.throws(
        () => listeners.route({ ...FROM_HERE, listenerName: 'test' }),
        error => isBrokerError(error, 'ServiceNotReady') && error.message === 'the broker do not have test listener'
      )
    }
  })
})

describe('with TLS', () => {
  const BOTH = { ...FROM_HERE, ports: { broker: 6650, brokerTls: 6651, web: 8080, webTls: 8443 } }

  test('both ways are told, and one alone where the other is switched off', () => {
    const { brokerUrl, brokerUrlTls, httpUrlTls } = new Listeners(NONE).route(BOTH)
    assert.deepEqual(
      [brokerUrl, brokerUrlTls, httpUrlTls],
      ['pulsar://127.0.0.1:6650', 'pulsar+ssl://127.0.0.1:6651', 'https://127.0.0.1:8443']
    )
    const ports = { ...BOTH.ports, broker: -1, web: -1 }
    const alone = new Listeners(NONE).advertised({ host: 'b', ports })
    assert.deepEqual(alone.urls, {
      brokerUrl: undefined,
      brokerUrlTls: 'pulsar+ssl://b:6651',
      httpUrl: undefined,
      httpUrlTls: 'https://b:8443'
    })
  })

  test('it is listened on where a port is set, and on addresses that say so', () => {
    const settings = { ...NONE, brokerServicePort: -1, brokerServicePortTls: 6651 }
    const listeners = new Listeners({ ...settings, bindAddresses: 'outside:pulsar+ssl://0.0.0.0:16651' })
    assert.deepEqual(listeners.bindAddresses(), [
      { listenerName: '', host: '127.0.0.1', port: 6651, isTls: true },
      { listenerName: 'outside', host: '0.0.0.0', port: 16651, isTls: true }
    ])
  })
})

describe('settings that cannot be', () => {
  const wrong: [Partial<ListenerSettings>, RegExp][] = [
    [{ advertisedListeners: 'pulsar://h:1' }, /advertisedListeners/],
    [{ advertisedListeners: 'a:ftp://h:1' }, /advertisedListeners/],
    [{ advertisedListeners: 'a:pulsar://h:1,a:pulsar://i:1' }, /two pulsar addresses/],
    [{ advertisedListeners: TWO, internalListenerName: 'nobody' }, /internalListenerName/]
  ]
  for (const [settings, message] of wrong) {
    test(JSON.stringify(settings), () => {
      assert.throws(() => new Listeners({ ...NONE, ...settings }), message)
    })
  }

  test('bindAddresses', () => {
    const listeners = new Listeners({ ...NONE, bindAddresses: 'outside:pulsar://0.0.0.0:16650' })
    assert.deepEqual(listeners.bindAddresses(), [
      { listenerName: '', host: '127.0.0.1', port: 6650, isTls: false },
      { listenerName: 'outside', host: '0.0.0.0', port: 16650, isTls: false }
    ])
    assert.throws(() => new Listeners({ ...NONE, bindAddresses: '0.0.0.0:1' }).bindAddresses(), /bindAddresses/)
    assert.throws(() => new Listeners({ ...NONE, bindAddresses: 'a:https://h:1' }).bindAddresses(), /scheme/)
  })
})
