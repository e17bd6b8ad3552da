import { reasonOf, type Clock, type Logger } from '@strata/base'
import type { ConnectionContext } from '../connection/context.ts'
import type { Access, ChangedScope } from './access.ts'
import { resourceOf, resourceOfNamespace } from './access.ts'

/** Changes that come together are looked at together. */
const GATHER_MS = 50
/** After the store could not be read. */
const RETRY_MS = 1000

/**
 * Takes back what was given: after a change every producer, consumer and watcher that it touches is decided anew, and those
 * that are not allowed any more are closed. What is being created meanwhile tells by itself, once it stands (`noticed`).
 */
export class Revocations {
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #connections: () => Iterable<ConnectionContext>
  #changed = new Set<ChangedScope>()
  #cancel: (() => void) | undefined
  #isClosed = false

  constructor(options: {
    access: Access
    clock: Clock
    logger: Logger
    connections: () => Iterable<ConnectionContext>
  }) {
    this.#clock = options.clock
    this.#logger = options.logger
    this.#connections = options.connections
    options.access.onChanged(scope => {
      this.noticed(scope)
    })
  }

  noticed(scope: ChangedScope): void {
    this.#changed.add(scope)
    this.#schedule(GATHER_MS)
  }

  close(): void {
    this.#isClosed = true
    this.#cancel?.()
  }

  #schedule(delayMs: number): void {
    if (this.#isClosed || this.#cancel !== undefined) return
    this.#cancel = this.#clock.after(delayMs, () => {
      this.#sweep().catch((error: unknown) => {
        this.#logger.warn({ event: 'revocation.failed', reason: reasonOf(error) }, 'what was revoked is tried again')
      })
    })
  }

  async #sweep(): Promise<void> {
    const changed = this.#changed
    this.#changed = new Set()
    try {
      for (const connection of [...this.#connections()]) await closeRevoked(connection, changed)
      this.#cancel = undefined
      if (this.#changed.size > 0) this.#schedule(GATHER_MS)
    } catch (error) {
      for (const scope of changed) this.#changed.add(scope)
      this.#cancel = undefined
      this.#schedule(RETRY_MS)
      throw error
    }
  }
}

async function closeRevoked(connection: ConnectionContext, changed: ReadonlySet<ChangedScope>): Promise<void> {
  const { session, producers, consumers, watchers } = connection
  if (session?.isChecked !== true || connection.isClosed) return
  const isTouched = (namespace: string): boolean =>
    changed.has(namespace) || changed.has(namespace.slice(0, namespace.indexOf('/')))
  for (const [producerId, slot] of [...producers]) {
    if (slot.kind !== 'ready' || !isTouched(slot.topic.name.namespace)) continue
    if (await session.isAllowed('produce', resourceOf(slot.topic.name))) continue
    if (producers.get(producerId) !== slot) continue
    slot.topic.removeProducer(slot.producer)
    connection.closeProducer(producerId)
  }
  for (const [consumerId, slot] of [...consumers]) {
    if (slot.kind !== 'ready' || !isTouched(slot.topic.name.namespace)) continue
    const { subscription } = slot.consumer
    if (await session.isAllowed('consume', resourceOf(slot.topic.name, subscription.name))) continue
    if (consumers.get(consumerId) !== slot) continue
    slot.consumer.leave()
    slot.topic.onConsumerLeft(subscription)
    connection.closeConsumer(consumerId)
  }
  for (const [watcherId, watcher] of [...watchers]) {
    if (!isTouched(watcher.namespace)) continue
    if (await session.isAllowed('lookup', resourceOfNamespace(watcher.namespace))) continue
    // The protocol has no word for the end of a watch: the client would believe that nothing changes any more.
    if (watchers.get(watcherId) === watcher) connection.close('it may not watch the topics of a namespace any more')
  }
}
