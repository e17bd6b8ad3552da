import { reasonOf } from '@strata/base'
import { AUDITOR_LEADER_KEY, type AuditStatus } from '@strata/bookie/server'
import { readUnsettledBundles } from '@strata/broker'
import type { Cluster } from '../cluster.ts'
import { clusterNodes, type ClusterNode } from './nodes.ts'

const HTTP_MS_MAX = 15_000

/**
 * Why the cluster may not lose a node now, one line each; none: every node that is expected is there and well, no entry has
 * fewer copies than it must have, and every bundle that is served is served by a broker that is there. @throws MetadataError
 */
export async function troublesOf(cluster: Cluster, expected: readonly ClusterNode[]): Promise<string[]> {
  const now = await clusterNodes(cluster)
  const found = new Map(now.map(node => [`${node.kind} ${node.id}`, node]))
  const away = expected.filter(({ kind, id }) => !found.has(`${kind} ${id}`))
  const lines = away.map(({ kind, id }) => `${kind} ${id} is away`)
  // what asks them takes long where one is away: told when all are back
  if (lines.length > 0) return lines
  const brokers = now.filter(({ kind }) => kind === 'broker')
  const parts = await Promise.all([
    Promise.resolve(now.filter(({ kind }) => kind === 'bookie').flatMap(bookieTroubles)),
    careTroubles(cluster, now),
    ownershipTroubles(cluster),
    ...brokers.map(brokerTroubles)
  ])
  return parts.flat()
}

function bookieTroubles({ id, state }: ClusterNode): string[] {
  return state === 'writable' || state === 'decommissioning' ? [] : [`bookie ${id} is ${state}`]
}

/** By the node that leads the care for copies. */
async function careTroubles({ metadata }: Cluster, nodes: readonly ClusterNode[]): Promise<string[]> {
  const record = await metadata.get(AUDITOR_LEADER_KEY)
  if (record === undefined) return ['no node leads the care for copies']
  const leader = Buffer.from(record.value).toString()
  const { webUrl = '' } = nodes.find(({ id }) => id === leader) ?? {}
  if (webUrl === '') return [`bookie ${leader} leads the care for copies, and its HTTP cannot be reached`]
  try {
    const answer = await get(`${webUrl}/api/v1/autorecovery/status`)
    const status = JSON.parse(answer.text) as AuditStatus & { leads: boolean }
    if (!answer.isOk || !status.leads) return [`bookie ${leader} does not lead the care for copies yet`]
    return statusTroubles(status)
  } catch (error) {
    return [`bookie ${leader} leads the care for copies, and does not answer (${reasonOf(error)})`]
  }
}

function statusTroubles({ waiting, pass, lastPass, nodes, unfinishedCount, unfinished }: AuditStatus): string[] {
  const lines = nodes
    .filter(({ standing }) => standing !== 'leaving' && standing !== 'destroyed')
    .map(({ bookieId }) => `bookie ${bookieId} counts as away`)
  if (waiting !== null) lines.push(`${waiting.gone} of ${waiting.of} nodes went at once: copies are not made`)
  if (pass !== null || lastPass === null) lines.push('the copies of ledgers are being looked at')
  const [first] = unfinished
  const such = first === undefined ? '' : `, such as ${first.ledgerId} (${first.why})`
  if (unfinishedCount > 0) lines.push(`${unfinishedCount} ledgers have fewer copies than they must have${such}`)
  return lines
}

async function ownershipTroubles({ metadata }: Cluster): Promise<string[]> {
  const unsettled = await readUnsettledBundles(metadata)
  if (unsettled.length === 0) return []
  return [`${unsettled.length} bundles are moving, such as ${unsettled[0] ?? ''}`]
}

/** A message through the broker and back. */
async function brokerTroubles({ id, webUrl }: ClusterNode): Promise<string[]> {
  if (webUrl === '') return [`broker ${id} has no HTTP that can be asked`]
  try {
    const { isOk, text } = await get(`${webUrl}/admin/v2/brokers/health`)
    return isOk ? [] : [`broker ${id} is not healthy: ${oneLine(text)}`]
  } catch (error) {
    return [`broker ${id} does not answer (${reasonOf(error)})`]
  }
}

async function get(url: string): Promise<{ isOk: boolean; text: string }> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(HTTP_MS_MAX) })
  return { isOk: answer.ok, text: await answer.text() }
}

function oneLine(text: string): string {
  const reason = /"reason"\s*:\s*"([^"]*)"/.exec(text)?.[1] ?? text
  return (reason.split('\n')[0] ?? '').slice(0, 200)
}
