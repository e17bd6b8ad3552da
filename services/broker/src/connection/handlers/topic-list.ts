import { CommandGetTopicsOfNamespace_Mode, type CommandBody } from '@strata/wire'
import { resourceOfNamespace } from '../../auth/access.ts'
import { decideAgain, requireAllowed } from '../../auth/require.ts'
import { brokerError } from '../../errors.ts'
import { splitNamespace } from '../../namespace/topic-name.ts'
import {
  compileTopicPattern,
  topicListHash,
  type TopicListMode,
  type TopicListWatch
} from '../../namespace/topic-lists.ts'
import { WATCHERS_MAX, type ConnectionContext } from '../context.ts'

const MODES: Readonly<Record<CommandGetTopicsOfNamespace_Mode, TopicListMode>> = {
  [CommandGetTopicsOfNamespace_Mode.PERSISTENT]: 'PERSISTENT',
  [CommandGetTopicsOfNamespace_Mode.NON_PERSISTENT]: 'NON_PERSISTENT',
  [CommandGetTopicsOfNamespace_Mode.ALL]: 'ALL'
}

/** protocol.md section 0, "Patterns": a pattern that is too long is not evaluated, and the answer says so. */
export function handleGetTopicsOfNamespace(
  connection: ConnectionContext,
  request: CommandBody<'getTopicsOfNamespace'>
): void {
  connection.answer(request.requestId, async () => {
    const { namespaces, settings } = connection.services
    splitNamespace(request.namespace)
    await requireNames(connection, request.namespace)
    const isFiltered =
      settings.enableBrokerSideSubscriptionPatternEvaluation &&
      request.topicsPattern !== '' &&
      request.topicsPattern.length <= settings.subscriptionPatternMaxLength
    const topics = await namespaces.lists.list(request.namespace, {
      mode: MODES[request.mode],
      ...(isFiltered
        ? { pattern: compileTopicPattern(request.topicsPattern, settings.subscriptionPatternMaxLength) }
        : {})
    })
    const topicsHash = topicListHash(topics)
    const changed = request.topicsHash === '' || request.topicsHash !== topicsHash
    connection.reply('getTopicsOfNamespaceResponse', {
      requestId: request.requestId,
      topics: changed ? topics : [],
      filtered: isFiltered,
      topicsHash,
      changed
    })
  })
}

/** A watcher id that is watched already begins anew: the client asks for the list again. */
export function handleWatchTopicList(connection: ConnectionContext, request: CommandBody<'watchTopicList'>): void {
  connection.answer(request.requestId, async () => {
    const { namespaces, settings } = connection.services
    const { watcherId } = request
    if (!settings.enableBrokerSideSubscriptionPatternEvaluation || !settings.enableBrokerTopicListWatcher) {
      throw brokerError('NotAllowedError', 'Unable to create topic list watcher: it is switched off')
    }
    splitNamespace(request.namespace)
    const pattern = compileTopicPattern(request.topicsPattern, settings.subscriptionPatternMaxLength)
    connection.watchers.get(watcherId)?.close()
    connection.watchers.delete(watcherId)
    if (connection.watchers.size >= WATCHERS_MAX) {
      throw brokerError('NotAllowedError', `A connection cannot have more than ${WATCHERS_MAX} watchers`)
    }
    const slot = new Watcher(connection, { watcherId, namespace: request.namespace })
    connection.watchers.set(watcherId, slot)
    try {
      const sinceVersion = connection.session?.accessVersion
      await requireNames(connection, request.namespace)
      const watch = await namespaces.lists.watch(request.namespace, { mode: 'PERSISTENT', pattern }, change => {
        slot.onChange(change)
      })
      slot.begin(watch, { requestId: request.requestId, knownHash: request.topicsHash })
      decideAgain(connection, sinceVersion, request.namespace)
    } catch (error) {
      if (connection.watchers.get(watcherId) === slot) connection.watchers.delete(watcherId)
      throw error
    }
  })
}

/** Names of topics are for those who may use some topic of the namespace, whichever. */
function requireNames(connection: ConnectionContext, namespace: string): Promise<void> | undefined {
  return requireAllowed(connection, () => ({
    permission: 'lookup',
    resource: resourceOfNamespace(namespace),
    asking: 'see the topics of the namespace'
  }))
}

export function handleWatchTopicListClose(
  connection: ConnectionContext,
  request: CommandBody<'watchTopicListClose'>
): void {
  connection.watchers.get(request.watcherId)?.close()
  connection.watchers.delete(request.watcherId)
  connection.reply('success', { requestId: request.requestId })
}

interface Change {
  readonly added: readonly string[]
  readonly deleted: readonly string[]
  readonly hash: string
}

/** One watch of one client. Updates go out after its SUCCESS, in order. */
class Watcher {
  readonly #connection: ConnectionContext
  readonly namespace: string
  readonly #watcherId: bigint
  #watch: TopicListWatch | undefined
  #isClosed = false

  constructor(connection: ConnectionContext, options: { watcherId: bigint; namespace: string }) {
    this.#connection = connection
    this.#watcherId = options.watcherId
    this.namespace = options.namespace
  }

  begin(watch: TopicListWatch, options: { requestId: bigint; knownHash: string }): void {
    if (this.#isClosed || this.#connection.isClosed) {
      watch.close()
      throw brokerError('ServiceNotReady', 'The watcher was closed before it was created')
    }
    this.#watch = watch
    const topicsHash = watch.hash
    this.#connection.reply('watchTopicListSuccess', {
      requestId: options.requestId,
      watcherId: this.#watcherId,
      topic: options.knownHash === topicsHash ? [] : [...watch.topics],
      topicsHash
    })
  }

  onChange(change: Change): void {
    // What happens before SUCCESS is in the list that SUCCESS carries.
    if (this.#watch === undefined || this.#isClosed) return
    this.#connection.reply('watchTopicUpdate', {
      watcherId: this.#watcherId,
      newTopics: [...change.added],
      deletedTopics: [...change.deleted],
      topicsHash: change.hash
    })
  }

  close(): void {
    this.#isClosed = true
    this.#watch?.close()
  }
}
