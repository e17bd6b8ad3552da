import { isDeepStrictEqual } from 'node:util'
import { assertNever } from '@strata/base'
import type { Fault } from './plan.ts'
import type { SimNode } from './sim-node.ts'
import type { World } from './world.ts'

/** Well below the time after which a client gives a silent node up. */
const CUT_OFF_MS = 40
const HASTY_SHARE = 0.5

/** Makes a fault happen now, and sees to its end. */
export function inject(world: World, fault: Fault): void {
  const { network, metadata } = world
  switch (fault.kind) {
    case 'crash':
    case 'power-loss':
      // Somebody recovers just when the writer is to replace the node.
      if (fault.forMs % 1 < HASTY_SHARE) {
        world.startRecoverer({ log: fault.node % world.plan.logs, diesAfterMs: undefined })
      }
      return restartAfter(world, {
        node: nodeOf(world, fault),
        forMs: fault.forMs,
        powerFails: fault.kind === 'power-loss'
      })
    case 'lost-volume':
    case 'lost-directory':
    case 'lost-index':
    case 'rolled-back-volume':
    case 'rolled-back-run':
      return loseStorage(world, fault)
    case 'pause': {
      const { process } = nodeOf(world, fault)
      process?.pause()
      return world.later(fault.forMs, () => process?.resume())
    }
    case 'slow-disk':
    case 'full-disk':
    case 'write-errors':
    case 'sync-errors':
    case 'read-errors':
    case 'index-errors':
    case 'bit-rot':
    case 'misdirected-write':
      return troubleDisk(world, fault)
    case 'cut':
    case 'cut-to-node':
    case 'cut-from-node':
    case 'slow-link':
      return troubleLinks(world, fault)
    case 'lossy':
    case 'duplicating':
    case 'breaking': {
      const name = ({ lossy: 'lost', duplicating: 'duplicated', breaking: 'broken' } as const)[fault.kind]
      network.trouble[name] = fault.chance
      return world.later(fault.forMs, () => (network.trouble[name] = 0))
    }
    case 'metadata-down':
      metadata.trouble.isDown = true
      return world.later(fault.forMs, () => (metadata.trouble.isDown = false))
    case 'metadata-ambiguous':
    case 'metadata-late': {
      const name = fault.kind === 'metadata-late' ? 'late' : 'ambiguous'
      metadata.trouble[name] = fault.chance
      return world.later(fault.forMs, () => (metadata.trouble[name] = 0))
    }
    case 'lost-leases':
      return metadata.loseLeases()
    case 'writer-crash':
    case 'writer-pause':
      return troubleWriter(world, fault)
    case 'deposed-writer':
      return deposeWriter(world, fault)
    case 'auditor-crash':
      return world.crashAuditor(fault.forMs)
    case 'clock-jump':
      for (const process of world.processes) process.jumpWall(fault.byMs)
      return
    default:
      assertNever(fault)
  }
}

function nodeOf(world: World, fault: { node: number }): SimNode {
  const node = world.nodes[fault.node]
  if (node === undefined) throw new Error('a fault for a node that is not there')
  return node
}

function restartAfter(world: World, options: { node: SimNode; forMs: number; powerFails: boolean }): void {
  if (world.isHealed) return
  options.node.crash(options)
  world.later(options.forMs, () => options.node.start())
}

type StorageLoss = Extract<
  Fault,
  { kind: 'lost-volume' | 'lost-directory' | 'lost-index' | 'rolled-back-volume' | 'rolled-back-run' }
>

function loseStorage(world: World, fault: StorageLoss): void {
  const node = nodeOf(world, fault)
  if (fault.kind === 'rolled-back-volume') return rollBack(world, { node, forMs: fault.forMs })
  if (fault.kind === 'rolled-back-run') return rollBackRun(world, { node, forMs: fault.forMs })
  // With its index lost and an entry log torn that was never finished, a node has no authority: as if its disk was destroyed.
  node.crash({ powerFails: fault.kind !== 'lost-index' || world.plan.fragile.includes(fault.node) })
  if (fault.kind === 'lost-index') node.volume.index.isThere = false
  else if (fault.kind === 'lost-directory') node.loseDirectory(fault.which)
  else node.destroy(volume => volume.wipe())
  world.later(fault.forMs, () => node.start())
}

/**
 * An older copy of the disk comes back, one of the same run of the node. What is noticed of that is what the node told the
 * metadata since: where it told nothing, nothing is done.
 */
function rollBackRun(world: World, { node, forMs }: { node: SimNode; forMs: number }): void {
  const { startCount, volume, bookie } = node
  if (bookie === undefined) return
  const older = volume.snapshot()
  const { sequence } = bookie.stats()
  void node.told().then(before => {
    world.later(forMs, () => {
      void node.told().then(now => {
        const isTold = now !== undefined && now.sequence > sequence && !isDeepStrictEqual(now, before)
        if (!isTold || world.isHealed || node.startCount !== startCount || !node.isUp) return
        node.crash({ powerFails: true })
        node.destroy(() => volume.restore(older))
        node.start()
      })
    })
  })
}

/** An older copy of the disk comes back: one that was made before the node's last start, which is what incarnations tell. */
function rollBack(world: World, { node, forMs }: { node: SimNode; forMs: number }): void {
  const before = { volume: node.volume.snapshot(), startCount: node.startCount }
  restartAfter(world, { node, forMs: forMs / 4, powerFails: false })
  world.later(forMs, () => {
    if (world.isHealed || node.startCount === before.startCount) return
    node.crash({ powerFails: true })
    node.destroy(volume => volume.restore(before.volume))
    node.start()
  })
}

type DiskFault = Fault & {
  kind:
    | 'slow-disk'
    | 'full-disk'
    | 'write-errors'
    | 'sync-errors'
    | 'read-errors'
    | 'index-errors'
    | 'bit-rot'
    | 'misdirected-write'
}

function troubleDisk(world: World, fault: DiskFault): void {
  const node = nodeOf(world, fault)
  const { trouble } = node.volume
  switch (fault.kind) {
    case 'bit-rot':
      return node.rot(fault.count)
    case 'misdirected-write':
      return node.misdirect(fault.count)
    case 'slow-disk':
      trouble.slowness = fault.factor
      return world.later(fault.forMs, () => (trouble.slowness = 1))
    case 'full-disk':
      trouble.isFull = true
      node.volume.roomBytes = 0
      return world.later(fault.forMs, () => (trouble.isFull = false))
    case 'write-errors':
      trouble.writeErrors = 0.3
      return world.later(fault.forMs, () => (trouble.writeErrors = 0))
    case 'sync-errors':
      trouble.syncErrors = 0.3
      return world.later(fault.forMs, () => (trouble.syncErrors = 0))
    case 'read-errors':
      trouble.readErrors = 0.3
      return world.later(fault.forMs, () => (trouble.readErrors = 0))
    case 'index-errors':
      trouble.indexErrors = 0.3
      return world.later(fault.forMs, () => (trouble.indexErrors = 0))
  }
}

function troubleLinks(
  world: World,
  fault: Fault & { kind: 'cut' | 'cut-to-node' | 'cut-from-node' | 'slow-link' }
): void {
  const { network } = world
  const { bookieId } = nodeOf(world, fault)
  const peers = world.actors.filter(({ process }) => !process.isDead).map(({ name }) => name)
  for (const peer of peers) {
    if (fault.kind === 'slow-link') {
      network.slow(peer, bookieId, fault.factor)
      network.slow(bookieId, peer, fault.factor)
    }
    if (fault.kind === 'cut' || fault.kind === 'cut-to-node') network.cut(peer, bookieId)
    if (fault.kind === 'cut' || fault.kind === 'cut-from-node') network.cut(bookieId, peer)
  }
  world.later(fault.forMs, () => {
    for (const peer of peers) {
      network.mend(peer, bookieId)
      network.mend(bookieId, peer)
    }
  })
}

/**
 * A writer sleeps while another one takes its log over and nodes of its ledger are started again, and wakes up. In half of
 * the cases it could not reach one of them before, for less time than it takes to notice.
 */
function deposeWriter(world: World, fault: Fault & { kind: 'deposed-writer' }): void {
  const writer = world.writers.findLast(({ log, actor }) => log === fault.log && !actor.process.isDead)?.actor
  if (writer === undefined) return
  const { network, nodes } = world
  const node = nodeOf(world, fault)
  const next = nodes[(fault.node + 1) % nodes.length] ?? node
  const isCut = fault.forMs % 1 < 0.5
  const cutMs = isCut ? CUT_OFF_MS : 0
  if (isCut) network.cut(writer.name, node.bookieId)
  world.later(cutMs, () => {
    writer.process.pause()
    world.startWriter(fault.log)
  })
  const restarts = [
    { node: next, atMs: fault.forMs * 0.4 },
    { node, atMs: fault.forMs * 0.6 }
  ]
  for (const restart of restarts) {
    world.later(cutMs + restart.atMs, () => restartAfter(world, { node: restart.node, forMs: 3, powerFails: true }))
  }
  world.later(cutMs + fault.forMs, () => {
    network.mend(writer.name, node.bookieId)
    writer.process.resume()
  })
}

function troubleWriter(world: World, fault: Fault & { kind: 'writer-crash' | 'writer-pause' }): void {
  const writer = world.writers.findLast(({ log, actor }) => log === fault.log && !actor.process.isDead)?.actor
  if (writer === undefined) return
  if (fault.kind === 'writer-pause') {
    writer.process.pause()
    return world.later(fault.forMs, () => writer.process.resume())
  }
  writer.kill()
  world.later(fault.forMs, () => world.startWriter(fault.log))
}
