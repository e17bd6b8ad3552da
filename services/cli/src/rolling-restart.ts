import { strict as assert } from 'node:assert'
import { resolve } from 'node:path'
import { systemClock } from '@strata/base'
import { withCluster, type Cluster, type ClusterFlags } from './cluster.ts'
import { orderRestart, readDevCluster } from './dev-cluster/control.ts'
import { CommandFailure, EXIT, usageFailure } from './failure.ts'
import { interruptible, pause } from './interrupt.ts'
import { note, printJson, printLine, startProgress } from './output.ts'
import { troublesOf } from './rolling/health.ts'
import { clusterNodes, type ClusterNode } from './rolling/nodes.ts'
import { commandFor, runCommand } from './rolling/restart-command.ts'

export interface RollingFlags extends ClusterFlags {
  readonly command?: string
  readonly devCluster?: string
  readonly only?: 'bookies' | 'brokers'
  /** How long one node may take to be back, and the cluster to settle then. */
  readonly timeout: number
  /** How long the cluster must be well, without a break, before the next node. */
  readonly settle: number
  readonly dryRun?: boolean
}

const LOOK_MS = 500

interface Round {
  readonly cluster: Cluster
  readonly flags: RollingFlags
  readonly signal: AbortSignal
  readonly restart: (node: ClusterNode) => Promise<void>
  /** Every node that was there at the beginning. */
  readonly expected: readonly ClusterNode[]
}

/**
 * Restarts every node, one after another, each only while the cluster is well: nothing is under-replicated, every bundle is served,
 * every node is there. Stops at the first thing that goes wrong; run again, it begins anew with the same checks.
 */
export async function rollingRestart(given: RollingFlags): Promise<void> {
  const flags = withDevCluster(given)
  await withCluster(flags, cluster =>
    interruptible(async ({ signal }) => {
      const expected = await clusterNodes(cluster)
      const chosen = expected.filter(({ kind }) => flags.only === undefined || `${kind}s` === flags.only)
      if (chosen.length === 0) throw new CommandFailure('there is no such node in this cluster')
      const round = { cluster, flags, signal, expected, restart: restartBy(flags, signal) }
      if (flags.dryRun === true) {
        for (const node of chosen)
          await say(flags, { event: 'planned', ...named(node) }, `would restart ${textOf(node)}`)
        return
      }
      const startedMs = systemClock.nowMs()
      let done = 0
      // after each it is well again
      await untilWell(round, 'before anything is restarted')
      for (const node of chosen) await restartOne(node, round, `${++done} of ${chosen.length}`)
      const seconds = Math.round((systemClock.nowMs() - startedMs) / 1000)
      await say(flags, { event: 'done', restarted: done, seconds }, `${done} nodes were restarted in ${seconds} s`)
    })
  )
}

/** A dev cluster says itself where its metadata is. */
function withDevCluster(flags: RollingFlags): RollingFlags {
  if ((flags.command === undefined) === (flags.devCluster === undefined)) {
    throw usageFailure('say how a node is restarted: --command TEMPLATE, or --dev-cluster DIR')
  }
  if (flags.command !== undefined) {
    commandFor(flags.command, { kind: 'bookie', id: '', host: '', address: '' })
    return flags
  }
  const data = resolve(flags.devCluster ?? '')
  const file = readDevCluster(data)
  if (file === undefined)
    throw new CommandFailure(`there is no dev cluster in ${data}: start one with strata dev-cluster`)
  return { ...flags, devCluster: data, metadata: flags.metadata ?? file.metadataUrl }
}

function restartBy({ command, devCluster }: RollingFlags, signal: AbortSignal): Round['restart'] {
  if (command !== undefined) return node => runCommand(commandFor(command, node), signal)
  assert(devCluster !== undefined)
  return async ({ id, kind }) => {
    const member = readDevCluster(devCluster)?.members.find(each => each.kind === kind && each.id === id)
    if (member === undefined) throw new CommandFailure(`${kind} ${id} is not of the dev cluster in ${devCluster}`)
    await orderRestart(devCluster, member.name)
  }
}

async function restartOne(node: ClusterNode, round: Round, place: string): Promise<void> {
  const { flags, restart } = round
  const startedMs = systemClock.nowMs()
  await say(flags, { event: 'restarting', ...named(node), place }, `${place}: restarting ${textOf(node)}`)
  await restart(node)
  await untilBack(node, round)
  await untilWell(round, `after ${textOf(node)} was restarted`)
  const seconds = Math.round((systemClock.nowMs() - startedMs) / 100) / 10
  await say(
    flags,
    { event: 'restarted', ...named(node), seconds },
    `${textOf(node)} is back and all is well after ${seconds} s`
  )
}

/** It is registered, by another start than before. */
async function untilBack(node: ClusterNode, { cluster, flags, signal }: Round): Promise<void> {
  await waiting(flags, signal, async () => {
    const now = (await clusterNodes(cluster)).find(({ kind, id }) => kind === node.kind && id === node.id)
    if (now === undefined) return [`${textOf(node)} is away`]
    return now.start === node.start ? [`${textOf(node)} was not restarted yet`] : []
  })
}

/** Well without a break for `settle`: what a node's return sets going takes a moment to show. */
async function untilWell({ cluster, flags, signal, expected }: Round, when: string): Promise<void> {
  let wellSinceMs: number | undefined
  try {
    await waiting(flags, signal, async () => {
      const troubles = await troublesOf(cluster, expected)
      if (troubles.length > 0) {
        wellSinceMs = undefined
        return troubles
      }
      const nowMs = systemClock.nowMs()
      wellSinceMs ??= nowMs
      return nowMs - wellSinceMs >= flags.settle ? [] : ['the cluster settles']
    })
  } catch (error) {
    throw error instanceof CommandFailure ? new CommandFailure(`${when}: ${error.message}`, error) : error
  }
}

/** @throws CommandFailure: the first of what was still in the way when the time was over */
async function waiting(flags: RollingFlags, signal: AbortSignal, look: () => Promise<string[]>): Promise<void> {
  const deadlineMs = systemClock.nowMs() + flags.timeout
  let troubles: readonly string[] = []
  let told = ''
  const progress = startProgress(() => `waiting: ${troubles[0] ?? ''}`, flags.json !== true)
  try {
    for (;;) {
      troubles = await look()
      if (troubles.length === 0) return
      if (flags.json === true && troubles.join() !== told) await printJson({ event: 'waiting', troubles })
      told = troubles.join()
      if (signal.aborted)
        throw new CommandFailure('interrupted: nothing else was restarted', { exitCode: EXIT.interrupted })
      if (systemClock.nowMs() > deadlineMs) {
        const more = troubles.length === 1 ? '' : ` (and ${troubles.length - 1} more)`
        throw new CommandFailure(`${troubles[0] ?? ''}${more}: see to it, and run this again`)
      }
      await pause(LOOK_MS, signal)
    }
  } finally {
    progress.stop()
  }
}

function named({ kind, id, host }: ClusterNode): object {
  return { kind, id, host }
}

function textOf({ kind, id }: ClusterNode): string {
  return `${kind} ${id}`
}

async function say({ json }: RollingFlags, event: object, line: string): Promise<void> {
  if (json === true) await printJson(event)
  else if ('event' in event && event.event === 'restarting') note(line)
  else await printLine(line)
}
