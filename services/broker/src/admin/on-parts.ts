import { asError } from '@strata/base'
import type { TopicName } from '../namespace/topic-name.ts'
import type { BrokerAddress } from '../ownership/contract.ts'
import { pathOf, reasonIn, type PeerAnswer } from '../peers/http-peers.ts'
import { Gate } from '../topic/gate.ts'
import type { AdminRequest } from './operation.ts'
import { answerOf, refuse } from './rest-error.ts'

/*
  What concerns several topics or bundles, which several brokers serve. What is served here is done here; the rest is asked of
  who serves it, by the request that does the same for one.
*/

const AT_ONCE_MAX = 16

export interface Outcome<Value> {
  /** What it is about, in words. */
  readonly about: string
  readonly value: Value | undefined
  readonly error: { readonly status: number; readonly reason: string; readonly cause: unknown } | undefined
}

export interface PartWork<Value> {
  here(part: TopicName): Promise<Value>
  there(answer: PeerAnswer): Value
  /** What follows the topic in the path of a partition; as asked, if it is not given. */
  readonly rest?: string
  readonly method?: 'GET' | 'PUT' | 'POST' | 'DELETE'
  readonly body?: Buffer
}

/** For each part. Nothing is thrown: what failed is among the outcomes. */
export async function onParts<Value>(
  request: AdminRequest,
  parts: readonly TopicName[],
  work: PartWork<Value>
): Promise<Outcome<Value>[]> {
  const { homes } = request.backend
  const [, , , , , , , ...asked] = new URL(request.url, 'http://here').pathname.split('/')
  const rest = work.rest ?? asked.map(segment => `/${segment}`).join('')
  const query = request.url.includes('?') ? request.url.slice(request.url.indexOf('?')) : ''
  return await outcomes(parts, async part => {
    const where = await homes.find(part)
    if (where.kind === 'here') return await work.here(part)
    const path = `/admin/v2/${pathOf(part)}${rest}${query}`
    return work.there(await ask(request, where.broker, { ...work, path }))
  })
}

/** For each item at once, some at a time. */
export async function outcomes<Item extends { toString(): string }, Value>(
  items: readonly Item[],
  run: (item: Item) => Promise<Value>
): Promise<Outcome<Value>[]> {
  const gate = new Gate(() => AT_ONCE_MAX)
  return await Promise.all(
    items.map(item =>
      gate.run(async () => {
        const about = item.toString()
        try {
          return { about, value: await run(item), error: undefined }
        } catch (error) {
          return { about, value: undefined, error: { ...answerOf(error), cause: error } }
        }
      })
    )
  )
}

/** The same question at another broker; @throws RestError as it refuses, but for statuses that `there` understands */
export async function ask(
  request: AdminRequest,
  broker: BrokerAddress,
  { path, method, body }: { path: string; method?: 'GET' | 'PUT' | 'POST' | 'DELETE'; body?: Buffer }
): Promise<PeerAnswer> {
  const sent = body ?? request.body
  return await request.backend.peers.call(broker, { method: method ?? request.method, path, body: sent })
}

/** @throws RestError as the other broker refused */
export function requireDone(answer: PeerAnswer): void {
  if (answer.status >= 300) refuse(answer.status, reasonIn(answer.body))
}

/** An answer's JSON. @throws RestError as the other broker refused */
export function jsonOf(answer: PeerAnswer): unknown {
  requireDone(answer)
  return JSON.parse(answer.body.toString('utf8'))
}

/** The values, in order. @throws RestError that names what failed, and says how much was done all the same */
export function allOf<Value>(all: readonly Outcome<Value>[]): Value[] {
  const failed = all.filter(({ error }) => error !== undefined)
  const [first] = failed
  if (first?.error !== undefined) {
    const { cause, status, reason } = first.error
    const done = all.length - failed.length
    if (done === 0 && failed.every(({ error }) => error?.reason === reason)) throw asError(cause)
    const named = failed.map(({ about, error }) => `${about}: ${error?.reason ?? ''}`).join('; ')
    refuse(status, `${named} (done for ${done} of ${all.length})`)
  }
  return all.map(({ value }) => value as Value)
}

/** What failed, by what it is about; undefined: nothing. */
export function failuresOf(all: readonly Outcome<unknown>[]): Record<string, string> | undefined {
  const failed = all.filter(({ error }) => error !== undefined)
  if (failed.length === 0) return undefined
  return Object.fromEntries(failed.map(({ about, error }) => [about, error?.reason ?? '']))
}
