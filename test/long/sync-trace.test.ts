import { strict as assert } from 'node:assert'
import { basename, dirname, join } from 'node:path'
import { PulsarClient } from '@strata/client'
import { BaseCommand_Type, commandTypeOf, decodeSendReceipt, FrameDecoder, ReceiptView } from '@strata/wire'
import { test } from 'vitest'
import { startStrata, withDirectory, type StrataProcess } from '../support/strata-process.ts'
import { bytesOf, pathOf, readTrace, Syncs, type SystemCall } from './system-calls.ts'

const TOPIC = 'persistent://public/default/traced'
/** Past 64 MB of journal the oldest files are moved; twelve files of 8 MB make several go. */
const SMALL_MESSAGES = 2000
const LARGE_MESSAGES = 1000
const LARGE_BYTES = 96 * 1024
const IN_FLIGHT = 40
const DROPS_MIN = 2
const SET = {
  journalMaxSizeMB: 8,
  strataJournalTotalMB: 64,
  strataDiskReserveMB: 64,
  // every message stays, so that each that a dropped file held must be in an entry log
  defaultRetentionTimeInMinutes: -1,
  defaultRetentionSizeInMB: -1,
  strataLogLevel: 'error'
}
const CALLS = 'write,writev,pwrite64,pwritev,fsync,fdatasync,open,openat,rename,renameat,renameat2,unlink,unlinkat'
const DROP_MS_MAX = 120_000

function strace(output: string): string[] {
  return [
    'strace',
    '-f',
    '-y',
    '-s',
    String(64 * 1024 * 1024),
    '-e',
    `trace=${CALLS}`,
    '-e',
    'signal=none',
    '-o',
    output
  ]
}

/** Message n, with a text that is found in every file that holds it. */
function message(n: number): Buffer {
  const bytes = n < SMALL_MESSAGES ? 100 : LARGE_BYTES
  return Buffer.from(`trace:${n};`.padEnd(bytes, 'a'))
}

async function publishAll(strata: StrataProcess): Promise<void> {
  const client = new PulsarClient({ serviceUrl: strata.brokerUrl })
  const producer = await client.createProducer({ topic: TOPIC, batching: { enabled: false } })
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < SMALL_MESSAGES + LARGE_MESSAGES) await producer.send({ data: message(next++) })
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane))
  client.shutdown()
}

interface Stored {
  readonly path: string
  /** When the write was done. */
  readonly done: number
}

/** What the trace shows of one message, or one file. */
class Witness {
  readonly syncs = new Syncs()
  readonly inJournal = new Map<number, Stored>()
  readonly inEntryLog = new Map<number, Stored>()
  /** When the write began that held the receipt. */
  readonly receipts = new Map<number, number>()
  /** Journal files that went, by when that began. */
  readonly drops: { path: string; begun: number }[] = []
  /** When a file got its name. */
  readonly named = new Map<string, number>()
  /** Paths of which each write is synced when it is done. */
  readonly #durable = new Set<string>()
  readonly #data: string
  readonly #isBlind: (path: string) => boolean
  readonly #sockets = new Map<string, { decoder: FrameDecoder; isBroken: boolean }>()
  readonly #receipt = new ReceiptView()

  /** `isBlind`: syncs that it does not see, so that a test can see what their lack does. */
  constructor(data: string, isBlind: (path: string) => boolean = () => false) {
    this.#data = data
    this.#isBlind = isBlind
  }

  see(call: SystemCall): void {
    switch (call.name) {
      case 'fsync':
      case 'fdatasync':
        if (!this.#isBlind(pathOf(call))) this.syncs.add(pathOf(call), call)
        return
      case 'open':
      case 'openat':
        if (call.arguments.includes('O_CREAT')) this.#name(lastPath(call), call.done)
        if (call.arguments.includes('O_DSYNC')) this.#durable.add(lastPath(call))
        return
      case 'rename':
      case 'renameat':
      case 'renameat2':
      case 'unlink':
      case 'unlinkat':
        this.#onNames(call)
        return
      default:
        this.#onWrite(call)
    }
  }

  isIn(directory: string, path: string): boolean {
    return path.startsWith(join(this.#data, 'bookie', directory))
  }

  #name(path: string, done: number): void {
    if (!this.named.has(path)) this.named.set(path, done)
  }

  #onNames(call: SystemCall): void {
    const [from, to] = [...call.arguments.matchAll(/"([^"]*)"/g)].map(match => match[1] as string)
    if (from?.endsWith('.journal') === true) this.drops.push({ path: from, begun: call.begun })
    if (to !== undefined) this.#name(to, call.done)
  }

  #onWrite(call: SystemCall): void {
    const path = pathOf(call)
    if (path.startsWith('socket:')) this.#onSocket(path, call)
    const place = this.isIn('journal', path)
      ? this.inJournal
      : this.isIn('entry-logs', path)
        ? this.inEntryLog
        : undefined
    if (place === undefined) return
    // such a write ends when its bytes are synced, and not before
    const synced = { begun: call.done + 0.25, done: call.done + 0.5 }
    if (this.#durable.has(path) && !this.#isBlind(path)) this.syncs.add(path, synced)
    for (const [, n] of call.arguments.matchAll(/trace:(\d+);/g)) {
      const before = place.get(Number(n))
      // the journal writes whole blocks: with what follows, the end of a synced one is written once more
      if (place !== this.inJournal || before?.path !== path) place.set(Number(n), { path, done: call.done })
    }
  }

  #onSocket(path: string, call: SystemCall): void {
    const socket = this.#sockets.get(path) ?? {
      decoder: new FrameDecoder({ frameBytesMax: 10_000_000 }),
      isBroken: false
    }
    this.#sockets.set(path, socket)
    if (socket.isBroken) return
    const onFrame = (buffer: Buffer, start: number, end: number): void => {
      if (commandTypeOf(buffer, start, end) !== BaseCommand_Type.SEND_RECEIPT) return
      decodeSendReceipt(buffer, start, end, this.#receipt)
      this.receipts.set(this.#receipt.sequenceLow, call.begun)
    }
    try {
      socket.decoder.push(bytesOf(call), { onFrame })
    } catch {
      socket.isBroken = true // HTTP
    }
  }
}

function lastPath(call: SystemCall): string {
  return /"([^"]*)"/.exec(call.arguments)?.[1] ?? ''
}

/** Each receipt was written after a sync of the journal file that began after its entry was written, and of the file's name. */
function checkReceipts(witness: Witness): number {
  for (const [n, begun] of witness.receipts) {
    const stored = witness.inJournal.get(n)
    assert(stored !== undefined, `message ${n} was acknowledged and is in no journal file`)
    const synced = witness.syncs.doneAfter(stored.done, path => path === stored.path)
    assert(synced < begun, `message ${n}: receipt at line ${begun}, its bytes are synced at line ${synced}`)
    const named = witness.named.get(stored.path) ?? Infinity
    const nameSynced = witness.syncs.doneAfter(named, path => path === dirname(stored.path))
    assert(
      nameSynced < begun,
      `message ${n}: receipt at line ${begun}, ${stored.path} has its name for sure at ${nameSynced}`
    )
  }
  return witness.receipts.size
}

/** Returns how many messages they held. A journal file went only after the entry log, its name, and then the index were synced that replace it. */
function checkDrops(witness: Witness): number {
  let messages = 0
  for (const { path, begun } of witness.drops) {
    const held = [...witness.inJournal].filter(([, stored]) => stored.path === path).map(([n]) => n)
    messages += held.length
    const byLog = new Map<string, number>()
    for (const n of held) {
      const moved = witness.inEntryLog.get(n)
      assert(
        moved !== undefined && moved.done < begun,
        `message ${n} of ${basename(path)} was not moved before it went`
      )
      byLog.set(moved.path, Math.max(byLog.get(moved.path) ?? 0, moved.done))
    }
    for (const [log, written] of byLog) {
      const synced = witness.syncs.doneAfter(written, each => each === log)
      const named = witness.named.get(log) ?? Infinity
      const nameSynced = witness.syncs.doneAfter(named, each => each === dirname(log))
      const both = Math.max(synced, nameSynced)
      assert(both < begun, `${basename(path)} went at line ${begun}, ${basename(log)} is synced at ${both}`)
      const indexed = witness.syncs.doneAfter(both, each => witness.isIn('index/', each))
      assert(indexed < begun, `${basename(path)} went at line ${begun}, the index is synced at ${indexed}`)
    }
  }
  assert(witness.drops.length >= DROPS_MIN && messages > 0, `${witness.drops.length} journal files went`)
  return messages
}

async function journalFilesGo(strata: StrataProcess, trace: string): Promise<void> {
  const deadline = performance.now() + DROP_MS_MAX
  for (;;) {
    let drops = 0
    for await (const call of readTrace(trace)) {
      const isName = call.name.startsWith('rename') || call.name.startsWith('unlink')
      if (isName && /^(AT_FDCWD[^"]*)?"[^"]*\.journal"/.test(call.arguments)) drops++
    }
    if (drops >= DROPS_MIN) return
    assert(performance.now() < deadline, `only ${drops} journal files went\n${strata.log()}`)
  }
}

test('every receipt follows the sync of its bytes, and every dropped journal file the syncs of what replaces it', () =>
  withDirectory(async parent => {
    const data = join(parent, 'data')
    const trace = join(parent, 'trace')
    const strata = await startStrata({ data, set: SET, wrap: strace(trace) })
    try {
      await publishAll(strata)
      await journalFilesGo(strata, trace)
    } finally {
      await strata.stop()
    }
    const isIn = (directory: string) => (path: string) => path.startsWith(join(data, 'bookie', directory))
    const witness = new Witness(data)
    const blindToJournal = new Witness(data, isIn('journal'))
    const blindToLogs = new Witness(data, isIn('entry-logs'))
    const blindToIndex = new Witness(data, isIn('index'))
    for await (const call of readTrace(trace)) {
      for (const each of [witness, blindToJournal, blindToLogs, blindToIndex]) each.see(call)
    }
    const receipts = checkReceipts(witness)
    assert.equal(receipts, SMALL_MESSAGES + LARGE_MESSAGES)
    const moved = checkDrops(witness)
    // What is seen here is what the checks rest on.
    assert.throws(() => checkReceipts(blindToJournal), /receipt at line/)
    assert.throws(() => checkDrops(blindToLogs), /went at line/)
    assert.throws(() => checkDrops(blindToIndex), /the index is synced at/)
    const drops = witness.drops.length
    process.stdout.write(`trace: ${receipts} receipts; ${drops} journal files gone, which held ${moved} messages\n`)
  }))
