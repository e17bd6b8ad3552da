import { usageOf, type BundleLoad } from '../../balance/load.ts'
import { weightsOf } from '../../balance/settings.ts'
import { done, json, type AdminReply, type AdminRequest } from '../operation.ts'

const CPU_LIMIT = 100
const MIB = 1024 * 1024

/**
 * The load of this broker, in the shape of Pulsar's LocalBrokerData; what the event loop does is our own. One that is alone by
 * construction reports to nobody.
 */
export async function loadReport({ backend }: AdminRequest): Promise<AdminReply> {
  if (backend.isAlone) return done()
  const { settings, homes, pools } = backend
  const { broker, bundles } = await backend.balance.load()
  const { self } = homes.ownership
  const memory = process.memoryUsage()
  const pooled = pools.reduce((sum, { bytesHeld }) => sum + bytesHeld, 0)
  const poolMax = pools.reduce((sum, { bytesMax }) => sum + bytesMax, 0)
  const usage = usageOf(broker, weightsOf(settings))
  return json({
    webServiceUrl: self.urls.httpUrl,
    pulsarServiceUrl: self.urls.brokerUrl,
    persistentTopicsEnabled: settings.enablePersistentTopics,
    nonPersistentTopicsEnabled: settings.enableNonPersistentTopics,
    cpu: { usage: broker.cpu * CPU_LIMIT, limit: CPU_LIMIT },
    memory: { usage: memory.heapUsed / MIB, limit: memory.heapTotal / MIB },
    directMemory: { usage: pooled / MIB, limit: poolMax / MIB },
    bandwidthIn: { usage: broker.bytesIn / 1024, limit: 0 },
    bandwidthOut: { usage: broker.bytesOut / 1024, limit: 0 },
    eventLoop: { usage: broker.loop * 100, limit: 100, lagMs: broker.lagMs },
    maxResourceUsage: usage / 100,
    msgRateIn: broker.messagesIn,
    msgRateOut: broker.messagesOut,
    msgThroughputIn: broker.bytesIn,
    msgThroughputOut: broker.bytesOut,
    lastUpdate: Math.trunc(backend.clock.wallMs()),
    lastStats: Object.fromEntries(bundles.map(bundle => [bundle.bundle, bundleStats(bundle)])),
    numTopics: broker.topics,
    numBundles: broker.bundles,
    numConsumers: broker.consumers,
    numProducers: broker.producers,
    bundles: bundles.map(({ bundle }) => bundle),
    lastBundleGains: [],
    lastBundleLosses: [],
    brokerVersionString: backend.version,
    protocols: {},
    advertisedListeners: {},
    loadReportType: 'LocalBrokerData'
  })
}

/** What balance decided, and what came of it, oldest first: any broker answers. */
export async function balanceDecisions({ backend }: AdminRequest): Promise<AdminReply> {
  const cycles = await backend.balance.log.cycles()
  return json({
    leader: backend.homes.ownership.leader()?.id ?? null,
    cycles: cycles.map(({ atMs, leader, decisions }) => ({ at: new Date(atMs).toISOString(), leader, decisions }))
  })
}

function bundleStats(load: BundleLoad): Record<string, number> {
  return {
    msgRateIn: load.messagesIn,
    msgThroughputIn: load.bytesIn,
    msgRateOut: load.messagesOut,
    msgThroughputOut: load.bytesOut,
    topics: load.topics,
    sessionCount: load.sessions
  }
}
