// Measures one node in this process: `node services/bookie/bench/journal.mjs [entries] [payload bytes] [ledgers] [directory]` after a build.
import { entryDigest } from '@strata/ledger-protocol'
import { MemoryMetadataStore } from '@strata/metadata'
import { silentLogger, systemClock } from '@strata/base'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bookieDirectories, openBookie } from '../dist/index.js'

const count = Number(process.argv[2] ?? 1_000_000)
const bytes = Number(process.argv[3] ?? 1024)
const root = await mkdtemp(join(process.argv[5] ?? tmpdir(), 'strata-bench-'))
const LEDGERS = Number(process.argv[4] ?? 10)
const WINDOW_BYTES = 16 * 1024 * 1024

const bookie = await openBookie({
  directories: bookieDirectories(root),
  bookieId: 'bench',
  clusterId: 'bench',
  metadata: new MemoryMetadataStore(),
  logger: silentLogger,
  clock: systemClock
})
try {
  await latency(2_000)
  await throughput()
  await reads()
} finally {
  await bookie.close()
  await rm(root, { recursive: true, force: true })
}

function request(ledgerId, entryId, payload) {
  const fields = { ledgerId, entryId, lac: entryId - 1, lengthBytes: (entryId + 1) * payload.length, payload }
  return { ...fields, crc32c: entryDigest(fields), recovery: false }
}

/** One add at a time, each on an idle node. */
async function latency(times) {
  const payload = Buffer.alloc(bytes, 7)
  const taken = []
  for (let i = 0; i < times; i++) {
    const startMs = performance.now()
    await new Promise((resolve, reject) =>
      bookie.add(request(0, i, payload), { onAdded: resolve, onAddFailed: reject })
    )
    taken.push(performance.now() - startMs)
  }
  taken.sort((a, b) => a - b)
  const at = part => (taken[Math.floor(taken.length * part)] * 1000).toFixed(0)
  console.log(`lone adds: median ${at(0.5)} us, p99 ${at(0.99)} us`)
}

/** As many as a window of unacknowledged bytes allows, from ten ledgers, in slices as a socket would bring them. */
async function throughput() {
  const payload = Buffer.alloc(bytes, 9)
  const next = new Array(LEDGERS).fill(0)
  const digests = process.argv.includes('--digest')
  let added = 0
  let acknowledged = 0
  const done = new Array(LEDGERS).fill(-1)
  const cpu = process.cpuUsage()
  const startMs = performance.now()
  await new Promise((resolve, reject) => {
    const sink = {
      onAdded(ledgerId, entryId) {
        acknowledged += entryId - done[ledgerId - 1]
        done[ledgerId - 1] = entryId
        if (acknowledged === count) resolve()
        else pump()
      },
      onAddFailed: reject
    }
    let isPumping = false
    const pump = () => {
      if (isPumping) return
      isPumping = true
      setImmediate(slice)
    }
    const slice = () => {
      isPumping = false
      for (let i = 0; i < 64 && added < count && (added - acknowledged) * bytes < WINDOW_BYTES; i++) {
        const ledger = added++ % LEDGERS
        const entryId = next[ledger]++
        const fields = { ledgerId: ledger + 1, entryId, lac: entryId - 1, lengthBytes: (entryId + 1) * bytes, payload }
        bookie.add(
          { ...fields, crc32c: digests || count - added < 200_000 ? entryDigest(fields) : 0, recovery: false },
          sink
        )
      }
      if (added < count && (added - acknowledged) * bytes < WINDOW_BYTES) pump()
    }
    pump()
  })
  const seconds = (performance.now() - startMs) / 1000
  const { user, system } = process.cpuUsage(cpu)
  const rate = Math.round(count / seconds)
  console.log(
    `adds of ${bytes} B: ${rate}/s, ${((rate * bytes) / 1e6).toFixed(0)} MB/s, ${((user + system) / count).toFixed(2)} us of CPU each`
  )
  console.log(JSON.stringify(bookie.stats()), `rss ${(process.memoryUsage().rss / 1e6).toFixed(0)} MB`)
}

/** The last entries of one ledger, from the first of them on, as a catch-up reader would. */
async function reads() {
  const first = Math.max(0, Math.floor((count - 200_000) / LEDGERS) + 1)
  const last = Math.floor(count / LEDGERS) - 1
  await bookie.housekeep()
  for (const bytesMax of [64 * 1024, 1024 * 1024, 4 * 1024 * 1024]) {
    const startMs = performance.now()
    let entries = 0
    for (let ledger = 1; ledger <= LEDGERS; ledger++) {
      for (let at = first; at <= last;) {
        const answer = await bookie.read({
          ledgerId: ledger,
          first: at,
          last,
          bytesMax,
          entriesMax: 100_000,
          fence: false
        })
        if (answer.entries.length === 0) throw new Error(`nothing at ${ledger}:${at}: ${answer.end}`)
        at += answer.entries.length
        entries += answer.entries.length
      }
    }
    const seconds = (performance.now() - startMs) / 1000
    console.log(
      `reads of ${bytesMax} B: ${Math.round(entries / seconds)}/s, ${((entries * bytes) / seconds / 1e6).toFixed(0)} MB/s`
    )
  }
}
