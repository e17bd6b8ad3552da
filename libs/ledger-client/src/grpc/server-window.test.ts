import { strict as assert } from 'node:assert'
import { once } from 'node:events'
import { connect, type Settings } from 'node:http2'
import { Server, ServerCredentials } from '@grpc/grpc-js'
import { bookieId, silentLogger } from '@strata/base'
import { afterEach, describe, test } from 'vitest'
import { MemoryBookieNode } from '../testing/index.ts'
import { serveBookieNode } from './serve-bookie-node.ts'
import { widenWindows } from './server-window.ts'

const MIB = 1024 * 1024

/** What a peer is told that it may send: a stream, and over the connection. */
async function windowsOf(port: number): Promise<{ stream: number; connection: number }> {
  const session = connect(`http://127.0.0.1:${port}`)
  try {
    const [settings] = (await once(session, 'remoteSettings')) as [Settings]
    // an answer to a ping comes behind what the server said when it took the connection
    await new Promise((resolve, reject) => session.ping(error => (error === null ? resolve(undefined) : reject(error))))
    return { stream: settings.initialWindowSize ?? 0, connection: session.state.remoteWindowSize ?? 0 }
  } finally {
    session.destroy()
  }
}

describe('windows of a server', () => {
  const closing: (() => unknown)[] = []
  afterEach(async () => {
    for (const close of closing.splice(0)) await close()
  })

  test('a storage node lets a peer have a whole credit on its way', async () => {
    const options = { clusterId: 'cluster-a', host: '127.0.0.1', port: 0, logger: silentLogger }
    const served = await serveBookieNode(new MemoryBookieNode(bookieId('node-a')), options)
    closing.push(() => served.close())
    assert.deepEqual(await windowsOf(served.port), { stream: 16 * MIB, connection: 16 * MIB })
  })

  test('a server that is not bound yet is a mistake', async () => {
    const server = new Server()
    closing.push(() => server.forceShutdown())
    assert.throws(() => widenWindows(server, MIB), assert.AssertionError)
    const bind = (resolve: (port: number) => void, reject: (error: Error) => void): void =>
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
        error === null ? resolve(port) : reject(error)
      )
    const port = await new Promise(bind)
    widenWindows(server, MIB)
    assert.deepEqual(await windowsOf(port), { stream: MIB, connection: MIB })
  })
})
