import type { AdminBackend } from '../backend.ts'
import { json, type AdminReply, type AdminRequest } from '../operation.ts'
import { refuse } from '../rest-error.ts'
import { totalsOf } from '../totals.ts'

/** No manager of load that Pulsar has had for years knows it. */
export function resourceAvailability(): AdminReply {
  return refuse(409, 'The load manager tells no availability of resources')
}

/** A list of measures with their dimensions: the broker as a whole, each namespace, and what tenants make of its work. */
export async function brokerMetrics({ backend }: AdminRequest): Promise<AdminReply> {
  const all = totalsOf(backend.topics.values())
  const usage = [...(await backend.metrics.usage())]
  const memory = process.memoryUsage()
  return json([
    {
      metrics: {
        brk_connections_active: backend.connections.active,
        jvm_heap_used: memory.heapUsed,
        jvm_direct_memory_used: memory.external,
        brk_resident_memory: memory.rss,
        ...poolMetrics(backend),
        ...measures(all.broker)
      },
      dimensions: {}
    },
    ...usage.map(([namespace, own]) => {
      const totals = all.namespaces.get(namespace) ?? {}
      return { metrics: measures({ ...totals, ...own }), dimensions: { namespace } }
    }),
    ...backend.metrics.shares().map(([tenant, share]) => ({ metrics: measures(share), dimensions: { tenant } }))
  ])
}

function poolMetrics(backend: AdminBackend): Record<string, number> {
  return Object.fromEntries(backend.pools.map(pool => [`brk_pool_${pool.name}_bytes`, pool.bytesHeld]))
}

function measures(totals: object): Record<string, number> {
  return Object.fromEntries(Object.entries(totals).map(([name, value]) => [`brk_${name}`, Number(value)]))
}
