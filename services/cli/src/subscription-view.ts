import { isRecord, numberOf } from './admin.ts'
import { printTable } from './output.ts'

/** A table of subscriptions from the `subscriptions` of a topic's stats. */
export function printSubscriptions(subscriptions: Readonly<Record<string, unknown>>): void {
  const rows = Object.entries(subscriptions).map(([name, value]) => {
    const stats = isRecord(value) ? value : {}
    return [
      name,
      typeof stats.type === 'string' && stats.type !== '' ? stats.type : '-',
      numberOf(stats.msgBacklog),
      numberOf(stats.unackedMessages),
      Array.isArray(stats.consumers) ? stats.consumers.length : 0,
      numberOf(stats.msgRateOut).toFixed(1)
    ]
  })
  printTable(['subscription', 'type', 'backlog', 'unacked', 'consumers', 'messages/s'], rows)
}
