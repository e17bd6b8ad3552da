// What a broker keeps of the owners of all bundles: node --expose-gc services/broker/bench/owner-rows-memory.mjs [bundles] [brokers]
// (after npm run build). Rows come as the watch brings them, so that nothing is shared that decoding would not share.
import { randomUUID } from 'node:crypto'
import { bundlesBetween, evenBoundaries } from '../dist/ownership/bundle-name.js'
import { OwnerTable } from '../dist/ownership/owner-table.js'
import { decodeOwner, encodeOwner, ownershipKeys } from '../dist/ownership/rows.js'

const BUNDLES_EACH = 100
const count = Number(process.argv[2] ?? 1_000_000)
const brokers = Array.from({ length: Number(process.argv[3] ?? 1_000) }, () => randomUUID())
const owned = { next: '', movingMs: 0, reason: 'asked for here', loadedTopics: [] }

/** The very bytes that a store would send, each of its own. */
function* told() {
  for (let made = 0; made < count;) {
    for (const bundle of bundlesBetween(`tenant-${made % 1_000}/namespace-${made}`, evenBoundaries(BUNDLES_EACH))) {
      const value = encodeOwner({ ...owned, owner: brokers[made % brokers.length], sinceMs: Date.now() + made })
      yield { key: Buffer.from(ownershipKeys.owner(bundle.toString())).toString(), value, version: ++made }
      if (made === count) return
    }
  }
}

function heapBytes() {
  globalThis.gc()
  return process.memoryUsage().heapUsed
}

const before = heapBytes()
const table = new OwnerTable()
const startedAt = performance.now()
for (const { key, value, version } of told()) {
  const bundle = key.slice(ownershipKeys.owners.length)
  table.apply({ bundle, row: decodeOwner({ key, value }), version, source: 'watch', nowMs: performance.now() })
}
const seconds = (performance.now() - startedAt) / 1_000
const bytes = heapBytes() - before
const mb = (bytes / 1e6).toFixed(0)
process.stdout.write(
  `${count} bundles of ${brokers.length} brokers: ${mb} MB, ${(bytes / count).toFixed(0)} bytes a bundle, read in ${seconds.toFixed(1)} s\n`
)
if (table.get('') !== undefined) process.exitCode = 1 // it is needed to the end
