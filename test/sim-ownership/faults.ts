import type { Fault } from './plan.ts'
import type { Cluster, SimBroker } from './sim-broker.ts'

/** By then the bundle is given. */
const CONDEMN_AFTER_MS = 60

/** Does to the world what the fault says, and ends it in time. */
export function inject(world: Cluster, fault: Fault): void {
  const { metadata, network, bookies, brokers } = world
  const broker = 'broker' in fault ? brokers[fault.broker] : undefined
  const end = (run: () => void): void => world.later('forMs' in fault ? fault.forMs : 0, run)
  switch (fault.kind) {
    case 'pause': {
      const process = broker?.process
      process?.pause()
      broker?.observe()
      end(() => process?.resume())
      return
    }
    case 'pause-opening': {
      const { afterMs, forMs } = fault
      world.atNextOpening(opening => {
        world.later(afterMs, () => {
          const { process } = opening
          process.pause()
          opening.observe()
          world.later(forMs, () => process.resume())
        })
      })
      world.administer('unload', fault.topic)
      return
    }
    case 'kill':
      broker?.kill()
      end(() => broker?.start())
      return
    case 'shutdown':
      broker?.shutDown()
      end(() => broker?.start())
      return
    case 'cut': {
      const store = broker?.store
      store?.cut()
      broker?.observe()
      end(() => store?.mend())
      return
    }
    case 'storage-cut':
      for (const bookie of bookies) {
        network.cut(broker?.name ?? '', bookie)
        end(() => network.mend(broker?.name ?? '', bookie))
      }
      return
    case 'storage-lost':
      for (const { name } of fault.isForAll ? brokers : brokers.filter(other => other === broker)) {
        for (const bookie of bookies) {
          network.cut(name, bookie)
          end(() => network.mend(name, bookie))
        }
      }
      return
    case 'expire':
      broker?.store?.expire()
      return
    case 'clock':
      broker?.process.jumpWall(fault.byMs)
      return
    case 'store-down':
      metadata.trouble.isDown = true
      for (const one of brokers) one.observe()
      end(() => (metadata.trouble.isDown = false))
      return
    case 'store-slow':
      metadata.trouble.slowness = fault.factor
      end(() => (metadata.trouble.slowness = 1))
      return
    case 'store-lossy': {
      const { lost, ambiguous, late } = fault
      Object.assign(metadata.trouble, { lost, ambiguous, late })
      end(() => Object.assign(metadata.trouble, { lost: 0, ambiguous: 0, late: 0 }))
      return
    }
    case 'misjudge':
      misjudge(world, { broker, judges: brokers.filter((_, i) => i === fault.by), forMs: fault.forMs })
      return
    case 'condemn': {
      const process = broker?.process
      process?.pause()
      broker?.observe()
      world.administer('unload', fault.topic, broker?.name)
      const judges = brokers.filter(other => other !== broker)
      world.later(CONDEMN_AFTER_MS, () => misjudge(world, { broker, judges, forMs: fault.forMs }))
      end(() => process?.resume())
      return
    }
    case 'unload':
    case 'split':
    case 'merge':
      world.administer(fault.kind, fault.topic)
  }
}

function misjudge(
  world: Cluster,
  { broker, judges, forMs }: { broker: SimBroker | undefined; judges: readonly SimBroker[]; forMs: number }
): void {
  for (const judge of judges) {
    const { process } = judge
    for (const listener of judge.listenersTo(broker?.name ?? '')) {
      process.post(1, () => listener.onDown())
      world.later(forMs, () => process.post(1, () => listener.onUp()))
    }
  }
}
