import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { systemClock } from '@strata/base'
import { afterEach, describe, test } from 'vitest'
import type { BrokerAddress } from './contract.ts'
import { REACH_PATH, TcpPeers } from './tcp-peers.ts'

const peers = new TcpPeers(systemClock)
const servers: Server[] = []
const stop = (server: Server): void => {
  server.close()
  server.closeAllConnections()
}
afterEach(() => servers.splice(0).forEach(stop))

async function listen(answer: string, port = 0): Promise<{ server: Server; peer: BrokerAddress; port: number }> {
  const server = createServer((request, response) => {
    response.statusCode = request.url === REACH_PATH ? 200 : 404
    response.end(answer)
  })
  servers.push(server)
  await once(server.listen(port, '127.0.0.1'), 'listening')
  const taken = (server.address() as AddressInfo).port
  const urls = {
    brokerUrl: undefined,
    brokerUrlTls: undefined,
    httpUrl: `http://127.0.0.1:${taken}`,
    httpUrlTls: undefined
  }
  const described = { id: `127.0.0.1:${taken}`, instance: 'x', version: '1', startedAtMs: 0, urls, isDraining: false }
  return { server, peer: { ...described, listeners: new Map() }, port: taken }
}

describe('peers by TCP', () => {
  test('are asked by HTTP, and what is no answer is silence', async () => {
    assert.equal(await peers.ask((await listen('{"reaches":true}')).peer), 'reaches')
    assert.equal(await peers.ask((await listen('{"reaches": false}')).peer), 'lost')
    assert.equal(await peers.ask((await listen('what?')).peer), 'silent')
    const gone = await listen('')
    stop(gone.server)
    assert.equal(await peers.ask(gone.peer), 'silent')
  })

  test('one whose connection breaks and whose port refuses is down, until it listens again', async () => {
    const { server, peer, port } = await listen('')
    const connected = once(server, 'connection')
    let told = (_what: string): void => undefined
    const next = (): Promise<string> => new Promise(resolve => (told = resolve))
    const end = peers.watch(peer, { onDown: () => told('down'), onUp: () => told('up') })
    await connected
    const down = next()
    stop(server)
    assert.equal(await down, 'down')
    const up = next()
    await listen('', port)
    assert.equal(await up, 'up')
    end()
  })

  test('one that only closes its connection is not down', async () => {
    const { server, peer } = await listen('')
    const end = peers.watch(peer, { onDown: () => assert.fail('it listens'), onUp: () => assert.fail('it was up') })
    for (let round = 0; round < 3; round++) {
      const [socket] = (await once(server, 'connection')) as [{ destroy(): void }]
      socket.destroy()
    }
    end()
  })
})
