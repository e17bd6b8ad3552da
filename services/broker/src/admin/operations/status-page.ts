import type { Topic } from '../../topic/topic.ts'
import type { AdminReply, AdminRequest } from '../operation.ts'
import { totalsOf, totalsOfTopic, type Totals } from '../totals.ts'
import { brokerIdOf } from './brokers.ts'

/** More topics make a page that nobody reads: the busiest are shown, and how many are not. */
const TOPICS_SHOWN_MAX = 200

const STYLE = `
  body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1c1e21; background: #fff }
  h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem }
  table { border-collapse: collapse; width: 100% } th, td { padding: .3rem .6rem; border-bottom: 1px solid #d9dce1; text-align: right }
  th:first-child, td:first-child { text-align: left; word-break: break-all } th { font-weight: 600 }
  dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .6rem }
  dt { color: #5b626c; font-size: .85rem } dd { margin: 0; font-size: 1.15rem }
  @media (prefers-color-scheme: dark) { body { color: #e6e8eb; background: #15181c } th, td { border-color: #363b42 } dt { color: #9aa3ad } }
`

/** One page, no scripts, nothing loaded from anywhere; a browser renews it every five seconds. */
export function statusPage(request: AdminRequest): AdminReply {
  const { backend } = request
  const topics = [...backend.topics.values()].map(topic => ({ topic, totals: totalsOfTopic(topic, topic.stats()) }))
  topics.sort((a, b) => busy(b.totals) - busy(a.totals))
  const body = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="5">
<title>Strata: ${escaped(backend.settings.clusterName)}</title><style>${STYLE}</style></head>
<body>
<h1>Strata ${escaped(backend.version)}, cluster ${escaped(backend.settings.clusterName)}</h1>
${overview(request, totalsOf(backend.topics.values()).broker)}
<h2>Memory</h2>
${memory(request)}
${backend.guard === undefined ? topicSection(topics) : ''}
</body></html>
`
  return { status: 200, body, contentType: 'text/html; charset=utf-8' }
}

/** Left out where clients have to say who they are: load balancers read this page, and names of topics are not for all. */
function topicSection(topics: readonly { readonly topic: Topic; readonly totals: Totals }[]): string {
  const hidden = topics.length - TOPICS_SHOWN_MAX
  return `<h2>Topics in memory</h2>
${topicTable(topics.slice(0, TOPICS_SHOWN_MAX))}
${hidden > 0 ? `<p>${hidden} less busy ones are not shown.</p>` : ''}`
}

function overview(request: AdminRequest, totals: Totals): string {
  const { backend } = request
  const upSeconds = Math.max(0, Math.round((backend.clock.wallMs() - backend.startedAtMs) / 1000))
  return facts([
    // The word that load balancers look for.
    ['Status', 'OK'],
    ['Broker', brokerIdOf(request)],
    ['Up', duration(upSeconds)],
    ['Connections', count(backend.connections.active)],
    ['Topics', count(totals.topics)],
    ['Producers', count(totals.producers)],
    ['Consumers', count(totals.consumers)],
    ['In', `${rate(totals.rateIn)}, ${bytes(totals.throughputIn)}/s`],
    ['Out', `${rate(totals.rateOut)}, ${bytes(totals.throughputOut)}/s`],
    ['Stored', bytes(totals.storageSize)],
    ['Backlog', `${count(totals.msgBacklog)} entries`]
  ])
}

function memory(request: AdminRequest): string {
  const { rss, heapUsed, external } = process.memoryUsage()
  const pools = request.backend.pools.map((pool): [string, string] => [
    `Pool ${pool.name}`,
    `${bytes(pool.bytesHeld)} of ${bytes(pool.bytesMax)}`
  ])
  return facts([['Resident', bytes(rss)], ['Heap', bytes(heapUsed)], ['Buffers', bytes(external)], ...pools])
}

function topicTable(topics: readonly { topic: Topic; totals: Totals }[]): string {
  if (topics.length === 0) return '<p>None: a topic is loaded when a client first uses it.</p>'
  const rows = topics.map(({ topic, totals }) => {
    const cells = [
      rate(totals.rateIn),
      rate(totals.rateOut),
      count(totals.producers),
      count(totals.subscriptions),
      count(totals.consumers),
      count(totals.msgBacklog),
      bytes(totals.storageSize)
    ]
    return `<tr><td>${escaped(topic.fullName)}</td>${cells.map(cell => `<td>${cell}</td>`).join('')}</tr>`
  })
  const heads = ['Topic', 'In', 'Out', 'Producers', 'Subscriptions', 'Consumers', 'Backlog', 'Stored']
  const head = heads.map(text => `<th>${text}</th>`).join('')
  return `<table><thead><tr>${head}</tr></thead><tbody>${rows.join('\n')}</tbody></table>`
}

function facts(pairs: readonly (readonly [string, string])[]): string {
  const items = pairs.map(([name, value]) => `<div><dt>${escaped(name)}</dt><dd>${escaped(value)}</dd></div>`)
  return `<dl>${items.join('')}</dl>`
}

function busy(totals: Totals): number {
  return totals.throughputIn + totals.throughputOut + totals.msgBacklog
}

function count(value: number): string {
  return value.toLocaleString('en-US')
}

function rate(perSecond: number): string {
  return `${perSecond.toLocaleString('en-US', { maximumFractionDigits: 1 })} msg/s`
}

function bytes(value: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB']
  let unit = 0
  let shown = value
  while (shown >= 1024 && unit < units.length - 1) {
    shown /= 1024
    unit++
  }
  return `${shown.toLocaleString('en-US', { maximumFractionDigits: 1 })} ${units[unit] ?? ''}`
}

function duration(seconds: number): string {
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's']
  ] as const
  const first = parts.findIndex(([value]) => value > 0)
  if (first < 0) return '0 s'
  return parts
    .slice(first, first + 2)
    .map(([value, unit]) => `${value} ${unit}`)
    .join(' ')
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}
