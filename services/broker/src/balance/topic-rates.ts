import type { Topic } from '../topic/topic.ts'
import type { TopicRates } from './load-collector.ts'

/** What a topic in memory carries, as it was sampled last. */
export function ratesOf({ traffic, producers, subscriptions }: Topic): TopicRates {
  let [messagesOut, bytesOut, consumers] = [0, 0, 0]
  for (const { ratesOut, consumers: own } of subscriptions.values()) {
    messagesOut += ratesOut.messages
    bytesOut += ratesOut.bytes
    consumers += own.length
  }
  const ins = { messagesIn: traffic.messages.perSecond, bytesIn: traffic.bytes.perSecond }
  return { ...ins, messagesOut, bytesOut, producers: producers.size, consumers }
}
