// How long a node needs to serve again after a kill: `node services/bookie/bench/restart.mjs [entries] [payload bytes] [directory]`
// after a build. A child writes that many entries behind its checkpoint and kills itself.
import { entryDigest } from '@strata/ledger-protocol'
import { MemoryMetadataStore } from '@strata/metadata'
import { silentLogger, systemClock } from '@strata/base'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { bookieDirectories, openBookie } from '../dist/index.js'

const LEDGERS = 10
const WINDOW_BYTES = 16 * 1024 * 1024
const CHILD = '--child'
const isChild = process.argv[2] === CHILD
const [count = 1_000_000, bytes = 1024] = process.argv.slice(isChild ? 3 : 2, isChild ? 5 : 4).map(Number)
const under = process.argv[isChild ? 5 : 4]

function open(root, metadata, settings) {
  return openBookie({
    ...{ directories: bookieDirectories(root), bookieId: 'bench', clusterId: 'bench', metadata, settings },
    ...{ logger: silentLogger, clock: systemClock }
  })
}

function requestOf(ledgerId, entryId) {
  const payload = Buffer.alloc(bytes, entryId)
  const fields = { ledgerId, entryId, lac: entryId - 1, lengthBytes: (entryId + 1) * bytes, payload }
  return { ...fields, crc32c: entryDigest(fields), recovery: false }
}

async function fill(root) {
  // Its store dies with it: the parent's is empty too, so that the volume is the newer one.
  const never = { indexFlushBytes: 1e12, indexFlushEntries: 1e12, indexFlushMs: 1e12, journalBytesMax: 1e12 }
  const bookie = await open(root, new MemoryMetadataStore(), never)
  let added = 0
  let acknowledged = 0
  const done = new Array(LEDGERS).fill(-1)
  await new Promise((resolve, reject) => {
    const pump = () => {
      for (; added < count && (added - acknowledged) * bytes < WINDOW_BYTES; added++) {
        bookie.add(requestOf((added % LEDGERS) + 1, Math.floor(added / LEDGERS)), sink)
      }
    }
    const sink = {
      onAdded(ledgerId, entryId) {
        acknowledged += entryId - done[ledgerId - 1]
        done[ledgerId - 1] = entryId
        if (acknowledged === count) resolve()
        else setImmediate(pump)
      },
      onAddFailed: reject
    }
    pump()
  })
  process.kill(process.pid, 'SIGKILL')
}

async function measure() {
  const root = await mkdtemp(join(under ?? tmpdir(), 'strata-restart-'))
  try {
    const child = fork(fileURLToPath(import.meta.url), [CHILD, count, bytes, root])
    await once(child, 'exit')
    const metadata = new MemoryMetadataStore()
    const key = 'cluster-id'
    await metadata.transact({ compares: [], changes: [{ kind: 'put', key, value: Buffer.from('bench') }] })
    const cpu = process.cpuUsage()
    const startMs = performance.now()
    const bookie = await open(root, metadata)
    const openMs = performance.now() - startMs
    const { user, system } = process.cpuUsage(cpu)
    const last = Math.floor((count - 1) / LEDGERS)
    const range = { first: last, last, bytesMax: 1, entriesMax: 1, fence: false }
    const answer = await bookie.read({ ledgerId: ((count - 1) % LEDGERS) + 1, ...range })
    if (answer.entries.length !== 1) throw new Error(`the last entry is ${answer.end}`)
    const cpuMs = (user + system) / 1000
    console.log(
      `${count} entries of ${bytes} B behind the checkpoint: serving after ${openMs.toFixed(0)} ms, ${cpuMs.toFixed(0)} ms of CPU`
    )
    await bookie.close()
  } finally {
    await rm(root, { recursive: true, force: true })
  }
}

await (isChild ? fill(under) : measure())
