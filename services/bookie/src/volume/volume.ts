import { strict as assert } from 'node:assert'
import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { randomBytes, randomUUID } from 'node:crypto'
import type { BookieId, Clock, Logger } from '@strata/base'
import { ledgerIdOfKey, retireLedgerIds } from '@strata/ledger-client'
import { encodeSegment, transactUntilAnswered, type MetadataStore } from '@strata/metadata'
import type { Disk } from '../disk/disk.ts'
import { bookieErrors } from '../errors.ts'
import { BookieRegistrationSchema, type BookieRegistration } from '../generated/bookie_pb.ts'
import { CLUSTER_ID_KEY, readClusterId } from './cluster-id.ts'
import { readIdentity, writeIdentity, type Identity } from './identity-file.ts'
import { signStore, TRUSTED, type StoreStanding } from './store-signature.ts'
import { readWatermark, writeWatermark, type JournalExtent } from './watermark.ts'

export interface VolumeOptions {
  readonly disk: Disk
  /** Distinct; every one of them carries the identity. */
  readonly directories: readonly string[]
  readonly bookieId: BookieId
  readonly clusterId: string
  readonly metadata: MetadataStore
  readonly clock: Clock
  readonly log: Logger
  /** Is there anything in the directories that an identity should stand beside? */
  readonly holdsData: boolean
}

const VERSION = 1
/**
 * Who this node's disk is. A random volume id stands in every directory, with an incarnation that each start raises by
 * compare-and-set in the metadata store and then on disk. A volume that is behind its incarnation was rolled back, and
 * one that lacks a directory has lost it: what it does not hold, it may once have held. Between starts the store is told now
 * and then how far the journals are, so that a volume rolled back within one run of its node is noticed as well.
 *
 * Invariant: `unknownBelow` never falls.
 */
export class Volume {
  readonly #options: VolumeOptions
  #identity: Omit<Identity, 'directoryNumber'>
  /** By directory. */
  readonly #numbers: ReadonlyMap<string, number>
  #signing: Promise<StoreStanding> = Promise.resolve(TRUSTED)
  /** What the store was told last of the journals of this volume. */
  #told: JournalExtent

  private constructor(
    options: VolumeOptions,
    parts: {
      identity: Omit<Identity, 'directoryNumber'>
      numbers: ReadonlyMap<string, number>
      told: JournalExtent
    }
  ) {
    this.#options = options
    this.#identity = parts.identity
    this.#numbers = parts.numbers
    this.#told = parts.told
  }

  /**
   * Takes four synced steps, so that a crash between any two is told from a volume rolled back: pending on disk,
   * raised in the store (not serving), raised on disk, serving in the store. What an earlier start had pending may still be on its way to
   * the store, and come after that start died: the next one submits the same, under the same name, or it would not know it again.
   *
   * @throws WRONG_CLUSTER, WRONG_VOLUME, IDENTITY_CONFLICT (retryable), UNKNOWN_FORMAT, MetadataError
   */
  static async open(options: VolumeOptions): Promise<Volume> {
    const found = await Promise.all(options.directories.map(directory => readIdentity(options.disk, directory)))
    const present = found.filter(identity => identity !== undefined)
    checkIdentities(options, present)
    await checkCluster(options, present.length > 0)
    const key = registrationKey(options.bookieId)
    const record = await options.metadata.get(key)
    const registration = record === undefined ? undefined : fromBinary(BookieRegistrationSchema, record.value)
    const isWhole = isComplete(options.directories, present) || isUnused(present)
    const isOurs = isWhole && isCurrent(present, registration)
    const isFresh = present.length === 0 && registration === undefined
    const unknownBelow = isOurs || isFresh ? 0 : await idAfterAll(options)
    if (unknownBelow > 0) {
      const fields = { event: 'volume.authority_lost', unknownBelow, directories: options.directories }
      options.log.error(fields, 'the volume was replaced or rolled back: what it lacks is unknown, not absent')
    }
    const first = present[0]
    const numbers = numbersOf(options.directories, found)
    const identity = {
      bookieId: options.bookieId,
      clusterId: options.clusterId,
      volumeId: first?.volumeId ?? randomBytes(16).toString('hex'),
      // With what the store has: an earlier start may have raised it there and died, and so may this one, again and again.
      incarnation: Math.max(...present.map(identity => identity.incarnation), Number(registration?.incarnation ?? 0n)),
      pendingOperation: '',
      unknownBelow: Math.max(unknownBelow, ...present.map(identity => identity.unknownBelow)),
      revision: Math.max(...present.map(identity => identity.revision), 0),
      directoryCount: options.directories.length,
      directoryNumbersGiven: numbers.given,
      signedCount: Math.max(...present.map(identity => identity.signedCount), 0)
    }
    const told = await readWatermark(options.metadata, options.bookieId)
    const volume = new Volume(options, {
      ...{ identity, numbers: numbers.byDirectory },
      told: told?.volumeId === identity.volumeId ? told : { sequence: 0, file: 0 }
    })
    const pending = present.map(identity => identity.pendingOperation)
    const left = pending.find(operation => operation !== '' && operation !== registration?.operation)
    await volume.#raise(registration, { version: record?.version ?? 0, operation: left ?? randomUUID() })
    return volume
  }

  get volumeId(): string {
    return this.#identity.volumeId
  }

  get incarnation(): number {
    return this.#identity.incarnation
  }

  get unknownBelow(): number {
    return this.#identity.unknownBelow
  }

  /** Which of the volume's directories it is: the same wherever it is mounted, and never another one's. */
  directoryNumber(directory: string): number {
    const number = this.#numbers.get(directory)
    assert(number !== undefined, 'not a directory of the volume')
    return number
  }

  /** From now on nothing older than the newest ledger can be called absent. */
  async loseAuthority(): Promise<void> {
    const unknownBelow = Math.max(this.unknownBelow, await idAfterAll(this.#options))
    await this.#write({ unknownBelow })
  }

  /** Does the store know of more records than these? Then the volume was rolled back, or lost the end of a journal. */
  isBehind({ sequence, file }: JournalExtent): boolean {
    return sequence < this.#told.sequence || file < this.#told.file
  }

  /** Tells the store how far the journals are. @throws MetadataError */
  async tell({ sequence, file }: JournalExtent): Promise<void> {
    if (sequence === this.#told.sequence && file === this.#told.file) return
    const { metadata, bookieId, clock } = this.#options
    await writeWatermark(metadata, { bookieId, clock, volumeId: this.volumeId, sequence, file })
    this.#told = { sequence, file }
  }

  /**
   * Is this still the store that the node was made with, and not an older copy of it? Nothing that it says otherwise may be
   * taken as a reason to delete. @throws MetadataError
   */
  async trustsMetadata(): Promise<boolean> {
    return (await this.signMetadata()).kind === 'trusted'
  }

  /**
   * Looks whether the store is the one that the node signed last, and signs it anew, so that a copy of it that is older
   * than this moment will be known for one. @throws MetadataError
   */
  signMetadata(): Promise<StoreStanding> {
    // one at a time: two would take each other's signature for that of another process
    const sign = (): Promise<StoreStanding> => this.#sign()
    this.#signing = this.#signing.then(sign, sign)
    return this.#signing
  }

  async #sign(): Promise<StoreStanding> {
    const { metadata, clusterId, bookieId } = this.#options
    const { volumeId, signedCount, revision } = this.#identity
    const signed = await signStore(metadata, { bookieId, clusterId, volumeId, signedCount, revision })
    if (signed.signedCount !== signedCount) {
      await this.#write({ revision: signed.revision, signedCount: signed.signedCount })
    }
    return signed.standing
  }

  async #raise(
    before: BookieRegistration | undefined,
    { version, operation }: { readonly version: number; readonly operation: string }
  ): Promise<void> {
    const { metadata, bookieId, clock } = this.#options
    const key = registrationKey(bookieId)
    const incarnation = Math.max(this.#identity.incarnation, Number(before?.incarnation ?? 0n)) + 1
    await this.#write({ pendingOperation: operation })
    const value = (serving: boolean): Uint8Array =>
      toBinary(
        BookieRegistrationSchema,
        create(BookieRegistrationSchema, {
          version: VERSION,
          volumeId: this.volumeId,
          incarnation: BigInt(incarnation),
          operation,
          serving
        })
      )
    const raised = await transactUntilAnswered(
      metadata,
      { compares: [{ key, version }], changes: [{ kind: 'put', key, value: value(false) }] },
      { clock, operationId: () => operation }
    )
    if (!raised.committed) throw bookieErrors.create('IDENTITY_CONFLICT', { bookieId })
    await this.#write({ incarnation, pendingOperation: '' })
    const serving = await transactUntilAnswered(
      metadata,
      { compares: [{ key, version: raised.revision }], changes: [{ kind: 'put', key, value: value(true) }] },
      { clock }
    )
    if (!serving.committed) throw bookieErrors.create('IDENTITY_CONFLICT', { bookieId })
  }

  async #write(change: Partial<Identity>): Promise<void> {
    this.#identity = { ...this.#identity, ...change }
    for (const directory of this.#options.directories) {
      const directoryNumber = this.directoryNumber(directory)
      await writeIdentity(this.#options.disk, directory, { ...this.#identity, directoryNumber })
    }
  }
}

/**
 * Does every directory that the volume had stand here? More than it had may: those are taken in. While that is being written,
 * some directories name the old count and some the new one: the lower one holds, since data comes only after all are written.
 */
function isComplete(directories: readonly string[], present: readonly Identity[]): boolean {
  const counts = present.map(identity => identity.directoryCount).filter(count => count > 0)
  return present.length >= (counts.length === 0 ? directories.length : Math.min(...counts))
}

/**
 * Did no start of it come to its end? Then it was never served, and directories without an identity are those that the first start did
 * not come to: each has one, raised, before the node serves.
 */
function isUnused(present: readonly Identity[]): boolean {
  return present.length > 0 && present.every(({ incarnation }) => incarnation === 0)
}

function numbersOf(
  directories: readonly string[],
  found: readonly (Identity | undefined)[]
): { byDirectory: Map<string, number>; given: number } {
  const known = found.map((identity, i) => identity?.directoryNumber || (identity === undefined ? 0 : i + 1))
  let given = Math.max(0, ...known, ...found.map(identity => identity?.directoryNumbersGiven ?? 0))
  const numbers = known.map(number => (number > 0 ? number : ++given))
  return { byDirectory: new Map(directories.map((directory, i) => [directory, numbers[i] ?? 0])), given }
}

function registrationKey(bookieId: BookieId): string {
  return `bookies/${encodeSegment(bookieId)}/identity`
}

function checkIdentities({ bookieId, clusterId, directories, holdsData }: VolumeOptions, present: Identity[]): void {
  for (const identity of present) {
    if (identity.clusterId !== clusterId) {
      throw bookieErrors.create('WRONG_CLUSTER', { expected: clusterId, found: identity.clusterId, directories })
    }
    if (identity.bookieId !== bookieId || identity.volumeId !== present[0]?.volumeId) {
      throw bookieErrors.create('WRONG_VOLUME', { expected: bookieId, found: identity.bookieId, directories })
    }
  }
  if (present.length === 0 && holdsData) {
    throw bookieErrors.create('WRONG_VOLUME', { directories, reason: 'there is data, but no identity file' })
  }
}

/** An empty store beside a volume that is not empty is not the store the volume was written with. */
async function checkCluster({ metadata, clusterId, clock }: VolumeOptions, hasVolume: boolean): Promise<void> {
  let found = await readClusterId(metadata)
  if (found === undefined && !hasVolume) {
    await transactUntilAnswered(
      metadata,
      {
        compares: [{ key: CLUSTER_ID_KEY, version: 0 }],
        changes: [{ kind: 'put', key: CLUSTER_ID_KEY, value: Buffer.from(clusterId) }]
      },
      { clock }
    )
    found = await readClusterId(metadata)
  }
  if (found !== clusterId) {
    throw bookieErrors.create('WRONG_CLUSTER', { expected: clusterId, found: found ?? 'an empty metadata store' })
  }
}

/** Does the volume stand where the store last saw it, or did a start die between the two? */
function isCurrent(present: readonly Identity[], registration: BookieRegistration | undefined): boolean {
  // A store that forgot the node (restored, older): the volume is ahead of it, which costs nothing.
  if (registration === undefined) return true
  return present.every(identity => {
    const behind = Number(registration.incarnation) - identity.incarnation
    if (registration.volumeId !== identity.volumeId) return false
    if (behind <= 0) return true
    return behind === 1 && !registration.serving && registration.operation === identity.pendingOperation
  })
}

/**
 * Above every ledger that there is, and every one that is still to be made with an id given out before now: ids come in blocks,
 * and whoever holds one would go on making ledgers that the node knows nothing of, and so take nothing for.
 */
async function idAfterAll({ metadata, clock }: VolumeOptions): Promise<number> {
  const retired = await retireLedgerIds(metadata, { clock })
  return Math.max(retired, await idAfterLastLedger(metadata))
}

async function idAfterLastLedger(metadata: MetadataStore): Promise<number> {
  let after: string | undefined
  let last = 0
  for (;;) {
    const page = await metadata.scan({ prefix: 'ledgers/', keysOnly: true, ...(after === undefined ? {} : { after }) })
    const key = page.records.at(-1)?.key
    if (key !== undefined) last = (ledgerIdOfKey(key) ?? last) + 1
    if (page.next === undefined) return last
    after = page.next
  }
}
