import { isNamespaceError } from '../../namespace/errors.ts'
import { isAutoUpdateStrategy, isStrategy } from '../../namespace/policy-schemas.ts'
import type { PolicyLevel } from '../../namespace/policy-spec.ts'
import { bodyOf, isObject, missingBody, unreadable, type AdminRequest } from '../operation.ts'
import { refuse } from '../rest-error.ts'

/*
  What Pulsar's own handlers have of their own, by policy and level: which JSON they take, and how they put it.
*/

/** `word`: a text, which the policy itself takes or not. `unread`: whatever is sent, it is switched on. */
type BodyKind = 'number' | 'flag' | 'texts' | 'word' | 'object' | 'unread'

interface PolicyAnswer {
  /** Pulsar's parser refuses any other before it looks for what it is about. */
  readonly body: BodyKind
  /** Any other says nothing, and leaves it to the level above. */
  readonly isWord?: (value: unknown) => boolean
  /** A body that says nothing is refused; of others it removes what was set. */
  readonly isNeeded?: true
  /** The value is a query of this name; a body is taken too. */
  readonly query?: string
  /** Of those: Pulsar does not look at a body. One that says how much is taken, any other says nothing. */
  readonly isBodyIgnored?: true
  /** It shows what was set here and nothing else, and 204 where nothing was. */
  readonly isOwnOnly?: true
  /** Removing sets this, which leaves it to the level above and is shown all the same. */
  readonly removed?: unknown
  /** Words for a value that it does not take. */
  readonly problem?: string
  /** What is shown where nobody set it. */
  readonly unset?: unknown
}

const OBJECT: PolicyAnswer = { body: 'object' }
const TEXTS: PolicyAnswer = { body: 'texts' }
const WORD: PolicyAnswer = { body: 'word' }
const COUNT: PolicyAnswer = { body: 'number', isNeeded: true }
const FLAG: PolicyAnswer = { body: 'flag', isNeeded: true }

const OF_NAMESPACE: Readonly<Record<string, PolicyAnswer>> = {
  allowedClusters: TEXTS,
  allowedTopicPropertyKeysForMetrics: TEXTS,
  compactionThreshold: COUNT,
  deduplication: FLAG,
  deduplicationSnapshotInterval: { body: 'number' },
  dispatcherPauseOnAckStatePersistent: { body: 'unread' },
  encryptionRequired: FLAG,
  entryFilters: WORD,
  isAllowAutoUpdateSchema: FLAG,
  maxConsumersPerSubscription: COUNT,
  maxConsumersPerTopic: COUNT,
  maxProducersPerTopic: COUNT,
  maxSubscriptionsPerTopic: COUNT,
  maxTopicsPerNamespace: COUNT,
  maxUnackedMessagesPerConsumer: COUNT,
  maxUnackedMessagesPerSubscription: COUNT,
  messageTTL: { ...COUNT, problem: 'Invalid value for message TTL, message TTL must >= 0' },
  offloadDeletionLagMs: COUNT,
  offloadThreshold: COUNT,
  offloadThresholdInSeconds: COUNT,
  replication: TEXTS,
  schemaAutoUpdateCompatibilityStrategy: { ...WORD, isOwnOnly: true, isWord: isAutoUpdateStrategy },
  schemaCompatibilityStrategy: { ...WORD, isWord: isStrategy },
  schemaValidationEnforced: FLAG,
  subscriptionAuthMode: WORD,
  subscriptionExpirationTime: COUNT,
  subscriptionTypesEnabled: { ...TEXTS, isNeeded: true }
}

const OWN_COUNT: PolicyAnswer = { body: 'number', isOwnOnly: true }

const OF_TOPIC: Readonly<Record<string, PolicyAnswer>> = {
  compactionThreshold: { body: 'number', problem: 'Invalid value for compactionThreshold' },
  deduplicationEnabled: { body: 'flag' },
  deduplicationSnapshotInterval: { body: 'number', problem: 'interval must be 0 or more' },
  dispatcherPauseOnAckStatePersistent: { body: 'unread', unset: false },
  entryFilters: WORD,
  maxConsumers: { body: 'number', problem: 'maxConsumers must be 0 or more' },
  maxConsumersPerSubscription: { ...OWN_COUNT, problem: 'Invalid value for maxConsumersPerSubscription' },
  maxMessageSize: OWN_COUNT,
  maxProducers: { body: 'number', problem: 'maxProducers must be 0 or more' },
  maxSubscriptionsPerTopic: OWN_COUNT,
  maxUnackedMessagesOnConsumer: { body: 'number', problem: 'maxUnackedNum must be 0 or more' },
  maxUnackedMessagesOnSubscription: { body: 'number', problem: 'maxUnackedNum must be 0 or more' },
  messageTTL: { body: 'number', query: 'messageTTL' },
  publishRate: { body: 'object', isOwnOnly: true },
  replication: TEXTS,
  schemaCompatibilityStrategy: { ...WORD, isWord: isStrategy },
  schemaValidationEnforced: { body: 'flag', unset: false },
  shadowTopics: TEXTS,
  subscriptionExpirationTime: { body: 'number', query: 'subscriptionExpirationTime', isBodyIgnored: true },
  subscriptionTypesEnabled: { body: 'texts', isOwnOnly: true, removed: [] }
}

export function answerOfNamespace({ path }: PolicyLevel): PolicyAnswer {
  return OF_NAMESPACE[path] ?? OBJECT
}

export function answerOfTopic({ path }: PolicyLevel): PolicyAnswer {
  return OF_TOPIC[path] ?? OBJECT
}

/** What the client sent, undefined where it says nothing. @throws PlainAnswer 400 */
export function valueOf(request: AdminRequest, answer: PolicyAnswer): unknown {
  if (answer.body === 'unread') return true
  const asked = answer.query === undefined ? undefined : request.query[answer.query]
  if (asked !== undefined) return asked
  if (answer.isBodyIgnored === true) return countIn(request)
  const value = bodyOf(request)
  if (value === undefined) return answer.isNeeded === true ? missingBody() : undefined
  if (answer.isWord?.(value) === false) return undefined
  if (answer.body === 'flag' && (value === 'true' || value === 'false')) return value === 'true'
  return TAKES[answer.body](value) ? value : unreadable('The value is not of the type that is needed')
}

function countIn({ body }: AdminRequest): number | undefined {
  const text = body.toString('utf8').trim()
  return /^\d{1,10}$/.test(text) ? Number(text) : undefined
}

const TAKES: Readonly<Record<BodyKind, (value: unknown) => boolean>> = {
  // numbers and flags as text are numbers and flags to it
  number: value => typeof value === 'number' || (typeof value === 'string' && /^-?\d+$/.test(value)),
  flag: value => typeof value === 'boolean',
  texts: value => Array.isArray(value) && value.every(item => typeof item === 'string'),
  word: () => true,
  unread: () => true,
  object: isObject
}

/** The words of this level for a value that the policy does not take. @throws RestError 412, or what was thrown */
export async function inItsWords(answer: PolicyAnswer, set: () => Promise<void>): Promise<void> {
  try {
    await set()
  } catch (error) {
    if (answer.problem !== undefined && isNamespaceError(error, 'NAME_INVALID')) refuse(412, answer.problem)
    throw error
  }
}
