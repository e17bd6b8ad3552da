// What a life is made of: calls of an admin library by name, and what must be so before the next of them.

/** One call. `{tenant}` in its arguments stands for the tenant of the run. */
export interface Call {
  readonly kind: 'call'
  /** As the library lists it. */
  readonly name: string
  readonly args: readonly unknown[]
  /** What was set may take a moment to be read: it is called again until the answer differs from the one before. */
  readonly settles: boolean
  /** It measures a process: names and types alone are compared. */
  readonly isMeasured: boolean
}

/** @property count Unbatched messages, all with the same producer's name. */
export interface Publish {
  readonly kind: 'publish'
  readonly topic: string
  readonly count: number
}

export type Step = Call | Publish

export function call(name: string, ...args: readonly unknown[]): Call {
  return { kind: 'call', name, args, settles: false, isMeasured: false }
}

/** What reads what the call before it has set. */
export function settled(name: string, ...args: readonly unknown[]): Call {
  return { ...call(name, ...args), settles: true }
}

export function measured(name: string, ...args: readonly unknown[]): Call {
  return { ...call(name, ...args), isMeasured: true }
}

export function publish(topic: string, count: number): Publish {
  return { kind: 'publish', topic, count }
}

/** A whole life, by one library. */
export interface Life {
  readonly name: string
  readonly steps: readonly Step[]
  /** Calls that it does not make, as patterns over their names, and why. */
  readonly leftOut: readonly { readonly calls: RegExp; readonly why: string }[]
}

/** A call of a command line: its first two words are its name. `{tenant}` and no quotes: what has spaces is none of these. */
export function line(text: string): Call {
  const [group = '', command = '', ...args] = text.split(' ')
  return call(`${group} ${command}`, ...args)
}

/** As `settled`. */
export function settledLine(text: string): Call {
  return { ...line(text), settles: true }
}

/** As `measured`. */
export function measuredLine(text: string): Call {
  return { ...line(text), isMeasured: true }
}
