// Who a client is, by every way that a client can say it, over every kind of service URL.
import { strict as assert } from 'node:assert'
import type { ClientOptions, Login } from '../client.ts'
import { BASIC_USER, type Guard } from '../guard.ts'
import { refused, type Context, type DriverName, type Row } from '../row.ts'

const SCHEMES = ['pulsar', 'pulsar+ssl', 'http', 'https'] as const
type Scheme = (typeof SCHEMES)[number]

/** What a client calls a refusal. */
interface Refusal {
  readonly code: string
  readonly words: RegExp
  /** It tries again and again until its time is up. */
  readonly isRetried: boolean
}

/** Who it is, by the binary protocol: Java alone tells what the broker said. */
const NOT_BELIEVED: Readonly<Partial<Record<DriverName, Refusal>>> = {
  python: { code: 'Timeout', words: /TimeOut/, isRetried: true },
  go: { code: 'Timeout', words: /connection error/, isRetried: true },
  java: { code: 'AuthenticationError', words: /authenticat/i, isRetried: false }
}

/** Who it is or what it may, by HTTP: 401 for both. */
const NOT_FOUND_OUT: Readonly<Partial<Record<DriverName, Refusal>>> = {
  python: { code: 'ConnectError', words: /ConnectError/, isRetried: false },
  go: { code: 'Unknown', words: /Code: 401/, isRetried: false },
  java: { code: 'PulsarClient', words: /HTTP get request failed: (Authentication|Unauthorized)/, isRetried: true }
}

const NOT_ALLOWED: Refusal = { code: 'AuthorizationError', words: /authoriz/i, isRetried: false }

function refusalOf(c: Context, scheme: Scheme, isBelieved: boolean): Refusal {
  const isHttp = scheme.startsWith('http')
  const refusal = isHttp ? NOT_FOUND_OUT[c.driverName] : isBelieved ? NOT_ALLOWED : NOT_BELIEVED[c.driverName]
  assert(refusal !== undefined, `nobody looked what ${c.driverName} calls it`)
  return refusal
}

function urlOf(c: Context, scheme: Scheme): string {
  switch (scheme) {
    case 'pulsar':
      return c.brokerUrl
    case 'pulsar+ssl':
      return c.guard.brokerUrlTls
    case 'http':
      return c.webUrl
    case 'https':
      return c.guard.webUrlTls
  }
}

function optionsOf(guard: Guard, login?: Login): ClientOptions {
  return { trustedFile: guard.authority.certificate, ...(login === undefined ? {} : { login }) }
}

function row(name: string, proves: string, run: (c: Context) => Promise<void>): Row {
  return { name: `login-${name}`, proves, feature: 'connection', profile: 'guarded', needs: ['logins'], run }
}

/** What it says of itself where it may produce and consume, and where it may not. */
function loginRow(what: string, scheme: Scheme, loginOf: (guard: Guard) => Login | undefined): Row {
  return row(`${what}-over-${scheme}`, `a client with ${what} produces and consumes through ${scheme}://`, async c => {
    const client = await c.client(optionsOf(c.guard, loginOf(c.guard)), urlOf(c, scheme))
    const topic = c.topic()
    const consumer = await client.consumer(topic, 's')
    const producer = await client.producer(topic)
    await producer.send('hello')
    assert.equal((await consumer.receive()).data.toString(), 'hello')
  })
}

interface Refused {
  readonly name: string
  readonly proves: string
  /** The broker knows who it is, and does not let it. */
  readonly isBelieved: boolean
  readonly loginOf: (guard: Guard) => Login
}

function refusedRow({ name, proves, isBelieved, loginOf }: Refused, scheme: Scheme): Row {
  return row(`${name}-over-${scheme}`, `${proves} through ${scheme}://`, async c => {
    const { code, words, isRetried } = refusalOf(c, scheme, isBelieved)
    const options = { ...optionsOf(c.guard, loginOf(c.guard)), ...(isRetried ? { operationTimeoutMs: 3_000 } : {}) }
    const client = await c.client(options, urlOf(c, scheme))
    const [producing, consuming] = await Promise.all([
      refused(client.producer(c.topic()), code),
      refused(client.consumer(c.topic(), 's'), code)
    ])
    assert.match(producing.message, words)
    assert.match(consuming.message, words)
  })
}

const token =
  (role: string) =>
  (guard: Guard): Login => ({ kind: 'token', token: guard.token(role) })
const basic = (password: string) => (): Login => ({ kind: 'basic', user: BASIC_USER.user, password })
const certificate = ({ client }: Guard): Login => ({ kind: 'tls', ...client })

const refusals: readonly Refused[] = [
  {
    ...{ name: 'wrong-token', proves: 'a token that another key signed is refused', isBelieved: false },
    loginOf: guard => ({ kind: 'token', token: `${guard.token('writer').slice(0, -8)}AAAAAAAA` })
  },
  { name: 'wrong-password', proves: 'a wrong password is refused', isBelieved: false, loginOf: basic('guess') },
  {
    ...{ name: 'not-granted', proves: 'a client that was granted nothing is refused', isBelieved: true },
    loginOf: token('reader')
  }
]

export const loginRows: readonly Row[] = [
  ...SCHEMES.flatMap(scheme => [
    loginRow('nothing', scheme, () => undefined),
    loginRow('token', scheme, token('writer')),
    loginRow('password', scheme, basic(BASIC_USER.password)),
    ...refusals.map(refusal => refusedRow(refusal, scheme))
  ]),
  loginRow('certificate', 'pulsar+ssl', certificate),
  loginRow('certificate', 'https', certificate)
]
