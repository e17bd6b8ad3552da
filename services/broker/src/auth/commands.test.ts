import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Schema_Type, type CommandName, type DecodedCommand } from '@strata/wire'
import { COMMANDS } from '../connection/handlers/index.ts'
import type { RawClient } from '../connection/testing/raw-client.ts'
import { GuardedWorld, tokenOf } from './testing/guarded-world.ts'

/*
  Every command of the binary protocol, as everybody: allowed or refused as this table says. A command that is handled and
  stands in no table fails the test.
*/

const TOPIC = 'persistent://acme/app/matrix'
const NOT_AUTHORIZED = 4

/** Known, and granted nothing; the admin of another tenant; granted one thing on the namespace; the rest. */
const ROLES = ['nobody', 'stranger', 'reader', 'writer', 'boss', 'root'] as const
type Role = (typeof ROLES)[number]

const ADMINS: readonly Role[] = ['boss', 'root']
const READERS: readonly Role[] = ['reader', ...ADMINS]
const WRITERS: readonly Role[] = ['writer', ...ADMINS]
const ANY: readonly Role[] = ['reader', 'writer', ...ADMINS]

interface Row {
  readonly allowed: readonly Role[]
  ask(client: RawClient): Promise<DecodedCommand>
}

const subscription = { subscription: 'shared', subType: 1, consumerId: 0n, initialPosition: 1 } as const

/** What is asked of a consumer: who has none because it may not subscribe has its answer there. */
async function subscribed(client: RawClient, ask: () => Promise<DecodedCommand>): Promise<DecodedCommand> {
  const answer = await client.request('subscribe', { topic: TOPIC, ...subscription })
  return answer.case === 'error' ? answer : await ask()
}

const table: { readonly [Name in CommandName]?: Row } = {
  lookupTopic: { allowed: ANY, ask: client => client.request('lookupTopic', { topic: TOPIC }) },
  partitionMetadata: { allowed: ANY, ask: client => client.request('partitionMetadata', { topic: TOPIC }) },
  producer: { allowed: WRITERS, ask: client => client.request('producer', { topic: TOPIC, producerId: 0n }) },
  subscribe: { allowed: READERS, ask: client => client.request('subscribe', { topic: TOPIC, ...subscription }) },
  getTopicsOfNamespace: {
    allowed: ANY,
    ask: client => client.request('getTopicsOfNamespace', { namespace: 'acme/app' })
  },
  watchTopicList: {
    allowed: ANY,
    ask: client => {
      const watch = { namespace: 'acme/app', topicsPattern: 'persistent://acme/app/.*', watcherId: 0n }
      return client.request('watchTopicList', watch)
    }
  },
  getSchema: { allowed: ANY, ask: client => client.request('getSchema', { topic: TOPIC }) },
  getOrCreateSchema: {
    allowed: WRITERS,
    ask: client => {
      const schema = { name: 's', schemaData: Buffer.alloc(0), type: Schema_Type.String, properties: [] }
      return client.request('getOrCreateSchema', { topic: TOPIC, schema })
    }
  },
  consumerStats: {
    allowed: READERS,
    ask: client => subscribed(client, () => client.request('consumerStats', { consumerId: 0n }))
  },
  getLastMessageId: {
    allowed: READERS,
    ask: client => subscribed(client, () => client.request('getLastMessageId', { consumerId: 0n }))
  },
  seek: {
    allowed: READERS,
    ask: client => {
      const messageId = { ledgerId: 0xffff_ffff_ffff_ffffn, entryId: 0xffff_ffff_ffff_ffffn }
      return subscribed(client, () => client.request('seek', { consumerId: 0n, messageId }))
    }
  },
  unsubscribe: {
    allowed: READERS,
    ask: client => subscribed(client, () => client.request('unsubscribe', { consumerId: 0n }))
  }
}

/** About what the connection itself has, which it was allowed to get; or about nothing. */
const WITHOUT_A_ROW: readonly CommandName[] = [
  'closeProducer',
  'closeConsumer',
  'redeliverUnacknowledgedMessages',
  'watchTopicListClose',
  'authResponse'
]

/** Refused to all, whoever asks. */
const SWITCHED_OFF = /[tT]xn|^tc|Tc|[sS]calable/

let guarded: GuardedWorld

beforeAll(async () => {
  guarded = await GuardedWorld.start()
  const namespace = { kind: 'namespace', namespace: 'acme/app' } as const
  await guarded.grant(namespace, 'reader', 'consume')
  await guarded.grant(namespace, 'writer', 'produce')
  // some of everything elsewhere, which must not count
  await guarded.grant({ kind: 'namespace', namespace: 'acme/second' }, 'nobody', 'produce', 'consume')
  await guarded.grant({ kind: 'namespace', namespace: 'other/app' }, 'nobody', 'produce', 'consume')
  const elsewhere = { kind: 'topic', namespace: 'acme/app', domain: 'persistent', localName: 'matrix-2' } as const
  await guarded.grant(elsewhere, 'nobody', 'produce', 'consume')
})

afterAll(async () => {
  await guarded.close()
})

test('every command that is handled has its row', () => {
  const known = new Set<CommandName>([...(Object.keys(table) as CommandName[]), ...WITHOUT_A_ROW])
  expect(COMMANDS.filter(name => !known.has(name) && !SWITCHED_OFF.test(name))).toEqual([])
})

function isRefused({ value }: DecodedCommand): boolean {
  const { error, errorCode } = value as { error?: number; errorCode?: number }
  return error === NOT_AUTHORIZED || errorCode === NOT_AUTHORIZED
}

describe.each(ROLES)('as %s', role => {
  test.each(Object.entries(table))('%s', async (_name, row) => {
    const keeper = await guarded.connectAs('root')
    await keeper.producer(TOPIC)
    const client = await guarded.connectAs(role)
    const answer = await row.ask(client)
    expect(isRefused(answer), JSON.stringify(answer.case)).toBe(!row.allowed.includes(role))
    client.destroy()
    keeper.destroy()
  })
})

test('a subscription is made with a producer only for those who may consume', async () => {
  const client = await guarded.connectAs('writer')
  const initialSubscriptionName = 'letters'
  const answer = await client.request('producer', { topic: TOPIC, producerId: 0n, initialSubscriptionName })
  expect(isRefused(answer)).toBe(true)
})

test('what a proxy names in a command counts together with the proxy', async () => {
  const known = { originalPrincipal: 'nobody' }
  const client = await guarded.introduce({ method: 'token', data: tokenOf('proxy-root'), ...known })
  await client.next('connected')
  const ask = (originalPrincipal: string): Promise<DecodedCommand> =>
    client.request('lookupTopic', { topic: TOPIC, originalPrincipal })
  expect(isRefused(await ask(''))).toBe(true)
  expect(isRefused(await ask('writer'))).toBe(false)
  expect(isRefused(await ask('proxy'))).toBe(true)
})
