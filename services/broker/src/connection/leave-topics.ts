import type { ConnectionContext } from './context.ts'

/** The connection is closed: whatever it had leaves its topic, and what was being created is not wanted any more. */
export function leaveTopics({ producers, consumers, watchers, cancellations }: ConnectionContext): void {
  for (const slot of producers.values()) {
    if (slot.kind === 'ready') slot.topic.removeProducer(slot.producer)
    else slot.isCancelled = true
  }
  for (const cancel of [...cancellations.values()]) cancel()
  for (const slot of consumers.values()) {
    if (slot.kind === 'creating') continue
    slot.consumer.leave()
    slot.topic.onConsumerLeft(slot.consumer.subscription)
  }
  for (const watcher of watchers.values()) watcher.close()
  producers.clear()
  consumers.clear()
  watchers.clear()
}
