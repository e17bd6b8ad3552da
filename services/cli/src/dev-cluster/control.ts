import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { reasonOf } from '@strata/base'
import { CommandFailure } from '../failure.ts'
import type { Members } from './members.ts'

const FILE = 'dev-cluster.json'
const RESTART_MS_MAX = 300_000

/** What a running dev cluster writes down in its directory, for other commands. */
export interface DevClusterFile {
  readonly pid: number
  readonly metadataUrl: string
  /** Takes orders; absent: it does not run. */
  readonly control?: { readonly url: string; readonly token: string }
  readonly members: readonly {
    readonly name: string
    readonly kind: string
    readonly ports: readonly number[]
    /** Of a bookie, its id; of a broker, host:port of its HTTP. */
    readonly id: string
  }[]
}

/** undefined: there never was one. @throws CommandFailure */
export function readDevCluster(data: string): DevClusterFile | undefined {
  const path = join(data, FILE)
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
  try {
    return JSON.parse(text) as DevClusterFile
  } catch (cause) {
    throw new CommandFailure(`${path} is damaged: remove it, and the ports are chosen anew`, { cause })
  }
}

/** Ports that members had when the cluster ran last. */
export function knownPorts(data: string): Map<string, readonly number[]> {
  return new Map(readDevCluster(data)?.members.map(({ name, ports }) => [name, ports]))
}

/** Listens on the loopback for orders of whoever can read the file. */
export class Control {
  readonly #members: Members
  readonly #server: Server
  readonly #token = randomBytes(16).toString('hex')

  private constructor(members: Members) {
    this.#members = members
    this.#server = createServer((request, response) => {
      void this.#answer(request, response)
    })
  }

  static async open(members: Members): Promise<Control> {
    const control = new Control(members)
    await once(control.#server.listen(0, '127.0.0.1'), 'listening')
    control.#write({ isRunning: true })
    return control
  }

  close(): void {
    this.#write({ isRunning: false })
    this.#server.close()
    this.#server.closeAllConnections()
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const name = /^\/restart\/([-a-z0-9]+)$/.exec(request.url ?? '')?.[1]
    const isAllowed = request.headers.authorization === `Bearer ${this.#token}`
    if (!isAllowed || request.method !== 'POST' || name === undefined) {
      response.writeHead(isAllowed ? 404 : 403).end()
      return
    }
    try {
      await this.#members.restart(name)
      response.writeHead(204).end()
    } catch (error) {
      response.writeHead(500).end(reasonOf(error))
    }
  }

  #write({ isRunning }: { isRunning: boolean }): void {
    const { data, metadataUrl } = this.#members.plan
    const path = join(data, FILE)
    const members = this.#members.all.map(({ plan, ready }) => ({
      ...{ name: plan.name, kind: plan.kind, ports: [plan.port, plan.secondPort] },
      id: plan.kind === 'bookie' ? String(ready['bookieId']) : `127.0.0.1:${plan.secondPort}`
    }))
    const address = this.#server.address() as AddressInfo | null
    const control = { url: `http://127.0.0.1:${address?.port ?? 0}`, token: this.#token }
    const file: DevClusterFile = { pid: process.pid, metadataUrl, members, ...(isRunning ? { control } : {}) }
    const aside = `${path}.new`
    rmSync(aside, { force: true })
    writeFileSync(aside, `${JSON.stringify(file, undefined, 2)}\n`, { mode: 0o600 })
    renameSync(aside, path)
  }
}

/** Orders a running dev cluster to restart one of its processes. Ready when it resolves. @throws CommandFailure */
export async function orderRestart(data: string, name: string): Promise<void> {
  const file = readDevCluster(data)
  if (file?.control === undefined)
    throw new CommandFailure(`no dev cluster runs in ${data}: start one with strata dev-cluster`)
  const { url, token } = file.control
  const headers = { authorization: `Bearer ${token}` }
  const options = { method: 'POST', headers, signal: AbortSignal.timeout(RESTART_MS_MAX) }
  const answer = await fetch(`${url}/restart/${name}`, options).catch((cause: unknown) => {
    throw new CommandFailure(`the dev cluster in ${data} does not answer: is process ${file.pid} there?`, { cause })
  })
  if (!answer.ok) throw new CommandFailure(`${name} was not restarted: ${(await answer.text()) || answer.status}`)
}
