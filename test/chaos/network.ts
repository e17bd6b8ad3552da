// A network of their own for the nodes: one namespace each, on one bridge, so that a node can be cut off as by a pulled cable.
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { promisify } from 'node:util'

const run = promisify(execFile)
/** States of a bridge's port: a disabled one drops every frame, and tells nobody. */
const DISABLED = '0'
const FORWARDING = '3'

/** Where one node lives. */
export interface NodePlace {
  /** Of the node, as everyone in the network reaches it. */
  readonly address: string
  /** What its command is started with. */
  readonly wrap: readonly string[]
  cut(): Promise<void>
  heal(): Promise<void>
}

/**
 * Namespaces, pairs of links and a bridge. This process stands on the bridge itself, and passes on what nodes have to say to a
 * server of its loopback.
 */
export class NodeNetwork {
  readonly places: readonly NodePlace[]
  /** host:port by which nodes reach the server. */
  readonly serverEndpoint: string
  readonly #undo: (() => Promise<unknown>)[]

  private constructor(parts: { places: NodePlace[]; serverEndpoint: string; undo: (() => Promise<unknown>)[] }) {
    this.places = parts.places
    this.serverEndpoint = parts.serverEndpoint
    this.#undo = parts.undo
  }

  /** undefined: not allowed here, or the tools are missing. @param options.server host:port on this machine */
  static async create(options: { count: number; server: string }): Promise<NodeNetwork | undefined> {
    const undo: (() => Promise<unknown>)[] = []
    try {
      return await build(options, undo)
    } catch {
      await tearDown(undo)
      return undefined
    }
  }

  static of(parts: { places: NodePlace[]; serverEndpoint: string; undo: (() => Promise<unknown>)[] }): NodeNetwork {
    return new NodeNetwork(parts)
  }

  async remove(): Promise<void> {
    await tearDown(this.#undo)
  }
}

async function build(
  { count, server }: { count: number; server: string },
  undo: (() => Promise<unknown>)[]
): Promise<NodeNetwork> {
  // several runs on one machine do not meet
  const name = `st${process.pid}`
  const subnet = `10.213.${process.pid % 250}`
  const bridge = `${name}br`
  await ip('link', 'add', bridge, 'type', 'bridge')
  undo.push(() => ip('link', 'del', bridge))
  await ip('address', 'add', `${subnet}.1/24`, 'dev', bridge)
  await ip('link', 'set', bridge, 'up')
  const places: NodePlace[] = []
  for (let i = 1; i <= count; i++) {
    places.push(
      await addPlace({ bridge, namespace: `${name}n${i}`, link: `${name}v${i}`, address: `${subnet}.${i + 1}` }, undo)
    )
  }
  const relay = await relayTo(server, `${subnet}.1`)
  undo.push(() => relay.close())
  return NodeNetwork.of({ places, serverEndpoint: relay.endpoint, undo })
}

async function addPlace(
  { bridge, namespace, link, address }: { bridge: string; namespace: string; link: string; address: string },
  undo: (() => Promise<unknown>)[]
): Promise<NodePlace> {
  await ip('netns', 'add', namespace)
  // its end of the link goes with it
  undo.push(() => ip('netns', 'del', namespace))
  await ip('link', 'add', link, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace)
  await ip('link', 'set', link, 'master', bridge, 'up')
  await ip('-n', namespace, 'link', 'set', 'lo', 'up')
  await ip('-n', namespace, 'address', 'add', `${address}/24`, 'dev', 'eth0')
  await ip('-n', namespace, 'link', 'set', 'eth0', 'up')
  const setState = async (state: string): Promise<void> => {
    await ip('link', 'set', link, 'type', 'bridge_slave', 'state', state)
  }
  await setState(DISABLED)
  await setState(FORWARDING)
  return {
    address,
    wrap: ['ip', 'netns', 'exec', namespace],
    cut: () => setState(DISABLED),
    heal: () => setState(FORWARDING)
  }
}

async function ip(...args: string[]): Promise<void> {
  await run('ip', args)
}

async function tearDown(undo: (() => Promise<unknown>)[]): Promise<void> {
  for (const step of undo.splice(0).reverse()) await step().catch(() => undefined) // the rest is to go as well
}

/** Passes on whatever comes. */
async function relayTo(target: string, host: string): Promise<{ endpoint: string; close(): Promise<void> }> {
  const [targetHost = '', targetPort = ''] = target.split(':')
  const sockets = new Set<Socket>()
  const join = (from: Socket, to: Socket): void => {
    sockets.add(from)
    from.on('error', () => to.destroy())
    from.on('close', () => {
      sockets.delete(from)
      to.destroy()
    })
    from.pipe(to)
  }
  const server: Server = createServer(client => {
    const behind = connect({ host: targetHost, port: Number(targetPort) })
    join(client, behind)
    join(behind, client)
  }).listen(0, host)
  await once(server, 'listening')
  return {
    endpoint: `${host}:${(server.address() as AddressInfo).port}`,
    async close() {
      const closed = once(server, 'close')
      server.close()
      for (const socket of sockets) socket.destroy()
      await closed
    }
  }
}
