import { silentLogger, systemClock } from '@strata/base'
import type { BrokerSettings } from '../../config/settings.ts'
import { BrokerWorld } from '../../connection/testing/broker-world.ts'
import type { Method } from '../route.ts'
import { createAdminServer, type AdminServer } from '../server.ts'

interface Answer {
  readonly status: number
  /** Parsed where it is JSON. */
  readonly body: unknown
  readonly headers: Readonly<Record<string, unknown>>
}

const NAMESPACE = '/admin/v2/persistent/public/default'

/** A whole broker with its HTTP side. `call` needs no socket. */
export class AdminWorld {
  readonly world: BrokerWorld
  readonly admin: AdminServer

  private constructor(world: BrokerWorld, admin: AdminServer) {
    this.world = world
    this.admin = admin
  }

  static async start(settings: Partial<BrokerSettings> = {}, options: { nodes?: number } = {}): Promise<AdminWorld> {
    const world = await BrokerWorld.start({ webServicePort: 0, ...settings }, options)
    return new AdminWorld(world, createAdminServer({ broker: world.broker, clock: systemClock, logger: silentLogger }))
  }

  /** `path` is under `/admin/v2` unless it starts with a slash. */
  async call(method: Method, path: string, body?: unknown, contentType = 'application/json'): Promise<Answer> {
    const url = path.startsWith('/') ? path : `/admin/v2/${path}`
    const payload = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body)
    const answer = await this.admin.inject({
      method,
      url,
      ...(payload === undefined ? {} : { payload, headers: { 'content-type': contentType } })
    })
    return { status: answer.statusCode, body: parsed(answer.body), headers: answer.headers }
  }

  /** The status, and the reason where there is one. */
  async told(method: Method, path: string, body?: unknown): Promise<string> {
    const answer = await this.call(method, path, body)
    const reason = (answer.body as { reason?: string } | undefined)?.reason
    return reason === undefined ? String(answer.status) : `${answer.status} ${reason}`
  }

  /** Publishes texts to `public/default/<topic>` over a connection, one message each. */
  async publish(topic: string, texts: readonly string[]): Promise<void> {
    const client = await this.world.connect()
    await client.producer(`persistent://public/default/${topic}`)
    for (const [index, text] of texts.entries()) {
      client.publish({ sequenceId: BigInt(index), text })
      await client.next('sendReceipt')
    }
    await client.request('closeProducer', { producerId: 0n })
    client.destroy()
  }

  topic(name: string): string {
    return `${NAMESPACE}/${name}`
  }

  async close(): Promise<void> {
    await this.admin.close()
    await this.world.close()
  }
}

function parsed(text: string): unknown {
  if (text === '') return undefined
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}
