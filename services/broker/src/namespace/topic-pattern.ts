import { RE2JS } from 're2js'
import { brokerError } from '../errors.ts'
import type { TopicName } from './topic-name.ts'

/**
 * A pattern that a client sent for names of topics. It is matched against whole names without domain and partition suffix
 * (`tenant/namespace/local`) by an engine that needs time linear in the name, whatever the pattern.
 */
export class TopicPattern {
  readonly #regex: RE2JS

  /** @throws BrokerError InvalidTopicName */
  constructor(pattern: string) {
    const withoutDomain = removeDomain(pattern)
    try {
      this.#regex = RE2JS.compile(withoutDomain)
    } catch (cause) {
      throw brokerError('InvalidTopicName', 'Invalid topics pattern', cause)
    }
  }

  matches(name: TopicName): boolean {
    const { tenant, namespacePortion, localName } = name.base
    return this.#regex.matches(`${tenant}/${namespacePortion}/${localName}`)
  }
}

/** `persistent://a/b/.*` and `^persistent://a/b/.*` lose their domain; what stands before it stays. */
function removeDomain(pattern: string): string {
  const at = pattern.indexOf('://')
  if (at < 0) return pattern
  const before = pattern.slice(0, at)
  const rest = pattern.slice(at + 3)
  for (const domain of ['non-persistent', 'persistent']) {
    if (before.endsWith(domain)) return before.slice(0, before.length - domain.length) + rest
  }
  throw brokerError('InvalidTopicName', 'Invalid topics pattern: it names no known domain')
}
