// What is asked: scripts of requests, each of which belongs to one method-and-path pair of the API.

export type Method = 'GET' | 'PUT' | 'POST' | 'DELETE'

/** `GET @N/retention`: a method and a path template, as `pairs.ts` lists them. */
export type PairName = string

/** One request. What stands in braces in the path is replaced from `vars`, then from the script's own. */
export interface Ask {
  readonly kind: 'ask'
  readonly pair: PairName
  /** What it shows, in a few words; with the pair it names the request within its script. */
  readonly note: string
  readonly vars?: Readonly<Record<string, string>>
  /** Without the question mark. */
  readonly query?: string
  /** Sent as JSON. */
  readonly body?: unknown
  /** Sent as it is, instead of `body`. */
  readonly raw?: string
  readonly type?: string
  /** The answer may take a moment to follow what was set: it is asked for again until it differs from the one before. */
  readonly settles?: boolean
}

/** What must be so before the next request. Nothing of it is compared. */
export type Prepare =
  | { readonly kind: 'publish'; readonly topic: string; readonly count: number }
  /** A producer and a consumer of `{subscription}`, there until the script ends. */
  | { readonly kind: 'attach'; readonly topic: string }
  | { readonly kind: 'request'; readonly method: Method; readonly path: string; readonly body?: unknown }

export type Step = Ask | Prepare

/** Steps in order. Scripts run beside each other and share nothing but what their names say. */
export interface Script {
  readonly name: string
  /** What stands for `{tenant}` and the like; tenant and namespace are made before it begins. */
  readonly vars: Readonly<Record<string, string>>
  readonly steps: readonly Step[]
}

export const TENANT = 'conf'

/** @param vars Over those that every script has: a namespace of its own, and names of a topic and a subscription. */
export function script(name: string, steps: readonly Step[], vars: Readonly<Record<string, string>> = {}): Script {
  return { name, vars: { ...varsOf(name), ...vars }, steps }
}

function varsOf(name: string): Record<string, string> {
  return {
    tenant: TENANT,
    namespace: name.replaceAll(/[^\w-]+/g, '-'),
    topic: 'topic',
    subscription: 'sub',
    subName: 'sub',
    subscriptionName: 'sub',
    cluster: 'standalone',
    'topic-domain': 'persistent'
  }
}

export function ask(pair: PairName, note: string, options: Omit<Ask, 'kind' | 'pair' | 'note'> = {}): Ask {
  return { kind: 'ask', pair, note, ...options }
}

/** A request that only prepares, by its pair. */
export function make(pair: PairName, body?: unknown): Prepare {
  const { method, path } = partsOf(pair)
  return { kind: 'request', method, path, ...(body === undefined ? {} : { body }) }
}

/** @param topic As `{topic}`, in the script's namespace. */
export function publish(count: number, topic = '{topic}'): Prepare {
  return { kind: 'publish', topic, count }
}

export function attach(topic = '{topic}'): Prepare {
  return { kind: 'attach', topic }
}

export function partsOf(pair: PairName): { method: Method; path: string } {
  const [method = '', path = ''] = pair.split(' ')
  const full = path
    .replace(/^@N/, '/admin/v2/namespaces/{tenant}/{namespace}')
    .replace(/^@T/, '/admin/v2/persistent/{tenant}/{namespace}/{topic}')
    .replace(/^\/(?=(non-)?persistent\/)/, '/topics/')
  return { method: method as Method, path: full }
}

/** The path with everything in braces replaced, each as one segment. @throws for a name that nothing stands for */
export function filled(path: string, vars: Readonly<Record<string, string>>): string {
  return path.replace(/\{([\w-]+)\}/g, (_all, name: string) => {
    const value = vars[name]
    if (value === undefined) throw new Error(`nothing stands for {${name}} in ${path}`)
    return encodeURIComponent(value)
  })
}
