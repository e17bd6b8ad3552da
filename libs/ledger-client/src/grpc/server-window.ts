import { strict as assert } from 'node:assert'
import type { Http2Server, ServerHttp2Session } from 'node:http2'
import type { Server } from '@grpc/grpc-js'

/**
 * What peers may have on its way to a server that is bound: `bytes` a stream, and as much a connection, in place of HTTP/2's 64 KB
 * (RFC 9113, 6.5.2 and 6.9.1). With those, adds wait for a turn of the node's event loop every 64 KB, however much credit
 * they have.
 *
 * The library lets only clients choose (`grpc-node.flow_control_window`), so this looks for the servers that it keeps; should they
 * no longer be where they were, it throws, at the start of a node.
 */
export function widenWindows(server: Server, bytes: number): void {
  const servers: unknown = Reflect.get(server, 'http2Servers')
  assert(servers instanceof Map && servers.size > 0, 'a bound gRPC server keeps its HTTP/2 servers in a map')
  for (const each of servers.keys()) {
    const http2 = each as Http2Server
    http2.updateSettings({ initialWindowSize: bytes })
    http2.on('session', (session: ServerHttp2Session) => session.setLocalWindowSize(bytes))
  }
}
