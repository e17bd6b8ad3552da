import { decodeOwner, ownershipKeys } from '@strata/broker/testing'
import type { MemoryMetadataStore, WatchEvent } from '@strata/metadata'
import type { History } from './history.ts'

interface LogView {
  readonly epoch: number
  readonly by: string
}

/** How long a transaction may be under way. */
const UNDER_WAY_MS = 2_000
const LOG = /^logs\/([^/]+)(\/.*)?$/

/**
 * The metadata store as it is at each moment, seen from outside, and who changed it: the promises that are about the order of
 * its changes are checked as they are made.
 */
export class StoreView {
  readonly #history: History
  readonly #logs = new Map<string, LogView>()
  readonly #owners = new Map<string, string>()
  /** Since when each is registered. */
  readonly #brokers = new Map<string, number>()
  readonly #suspicions = new Set<string>()
  /** Which broker a registration is of. */
  readonly #nameOf = new Map<string, string>()
  readonly #expected = new Map<string, string>()
  readonly #hashOfLog: (log: string) => number
  /** A broker gave a bundle up for another one. */
  readonly #onGiven: (by: string, bundle: string) => void
  #committer: string | undefined

  constructor(
    history: History,
    doors: { hashOfLog: (log: string) => number; onGiven: (by: string, bundle: string) => void }
  ) {
    this.#history = history
    this.#hashOfLog = doors.hashOfLog
    this.#onGiven = doors.onGiven
  }

  async follow(store: MemoryMetadataStore): Promise<void> {
    const transact = store.transact.bind(store)
    // the memory store tells its watches within the call
    store.transact = transaction => {
      this.#committer = this.#expected.get(transaction.operationId ?? '')
      const result = transact(transaction)
      this.#committer = undefined
      return result
    }
    await store.watch('', events => {
      for (const event of events) this.#onChange(event)
    })
  }

  expect(operationId: string, by: string): void {
    this.#expected.set(operationId, by)
  }

  onInstance(instance: string, name: string): void {
    this.#nameOf.set(instance, name)
  }

  isRegistered(instance: string): boolean {
    return this.#brokers.has(instance)
  }

  get registeredCount(): number {
    return this.#brokers.size
  }

  /** Its registrations that are there. */
  registrationsOf(name: string): string[] {
    return [...this.#brokers.keys()].filter(instance => this.#nameOf.get(instance) === name)
  }

  /** The name of the broker that has the bundle with this hash. */
  ownerOfHash(hash: number): string | undefined {
    for (const [bundle, owner] of this.#owners) {
      if (owner !== '' && isBetween(hash, rangeOf(bundle))) return this.#nameOf.get(owner)
    }
    return undefined
  }

  instanceThatOwns(bundle: string): string | undefined {
    return this.#owners.get(bundle)
  }

  /** The name of the broker that the row of a bundle names; undefined: none. */
  ownerOf(bundle: string): string | undefined {
    return this.#nameOf.get(this.#owners.get(bundle) ?? '')
  }

  #onChange({ key, value }: WatchEvent): void {
    if (key.startsWith(ownershipKeys.brokers)) {
      const instance = key.slice(ownershipKeys.brokers.length)
      if (value === undefined) this.#checkDeclared(instance)
      if (value === undefined) this.#brokers.delete(instance)
      else if (!this.#brokers.has(instance)) this.#brokers.set(instance, this.#history.nowMs)
      this.#history.tell('store', () => `${instance} ${value === undefined ? 'is gone' : 'is registered'}`)
    } else if (key.startsWith(ownershipKeys.owners)) {
      const bundle = key.slice(ownershipKeys.owners.length)
      const row = value === undefined ? undefined : decodeOwner({ key, value })
      const former = this.#nameOf.get(this.#owners.get(bundle) ?? '')
      if (former !== undefined && row?.owner === '' && former === this.#committer) this.#onGiven(former, bundle)
      this.#checkTaken(bundle, row?.owner ?? '')
      if (row !== undefined && row.owner !== '' && !this.#brokers.has(row.owner)) {
        this.#history.violate('registered', `${row.owner} has ${bundle}, and is not registered`)
      }
      if (row === undefined) this.#owners.delete(bundle)
      else this.#owners.set(bundle, row.owner)
      this.#checkApart(bundle)
      this.#history.tell(
        'store',
        () => `${bundle} ${row === undefined ? 'gone' : `${row.owner}>${row.next} ${row.reason}`}`
      )
    } else if (key.startsWith(ownershipKeys.suspicions)) {
      if (value === undefined) this.#suspicions.delete(key)
      else this.#suspicions.add(key)
      this.#history.tell('store', () => `${key} ${value === undefined ? 'gone' : 'there'}`)
    } else this.#onLogChange(key, value)
  }

  #checkDeclared(instance: string): void {
    const by = this.#committer
    if (by === undefined || by === this.#nameOf.get(instance)) return
    // one that came while the declaration was on its way could not be counted
    const known = [...this.#brokers.values()].filter(sinceMs => this.#history.nowMs - sinceMs > UNDER_WAY_MS)
    if (known.length < 3) return
    const words = [...this.#suspicions].filter(key => key.startsWith(ownershipKeys.suspicion(instance, '')))
    if (words.length < 2) this.#history.violate('two-words', `${by} declares ${instance} dead, ${words.join()}`)
  }

  /** O5: from a broker that is registered nobody else takes a bundle. */
  #checkTaken(bundle: string, owner: string): void {
    const before = this.#owners.get(bundle) ?? ''
    if (before === '' || before === owner || !this.#brokers.has(before)) return
    const by = this.#committer
    if (by === undefined || by === this.#nameOf.get(before)) return
    this.#history.violate('undisturbed', `${by} takes ${bundle} from ${before}, which is registered`)
  }

  /** No topic is in two bundles that are both somebody's. */
  #checkApart(bundle: string): void {
    const [start, end] = rangeOf(bundle)
    if ((this.#owners.get(bundle) ?? '') === '') return
    for (const [other, owner] of this.#owners) {
      const [from, to] = rangeOf(other)
      if (other === bundle || owner === '' || from >= end || to <= start) continue
      this.#history.violate('guarded', `${bundle} and ${other} are both owned, and share topics`)
    }
  }

  #onLogChange(key: string, value: Uint8Array | undefined): void {
    const [, log, rest] = LOG.exec(key) ?? []
    const by = this.#committer
    if (log === undefined || by === undefined || by === 'judge') return
    const known = this.#logs.get(log)
    const epoch = rest === undefined && value !== undefined ? epochOf(value) : undefined
    if (epoch !== undefined && epoch > (known?.epoch ?? 0)) {
      this.#logs.set(log, { epoch, by })
      this.#history.tell(by, () => `opens ${log} as epoch ${epoch}`)
      const hash = this.#hashOfLog(log)
      const bundles = [...this.#owners.keys()].filter(bundle => isBetween(hash, rangeOf(bundle)))
      if (bundles.some(bundle => this.ownerOf(bundle) === by)) return
      const owner = bundles.map(bundle => `${bundle} of ${this.ownerOf(bundle) ?? 'nobody'}`).join(', ')
      this.#history.violate('guarded', `${by} opened ${log}: ${owner}`)
    } else if (known !== undefined && known.by !== by) {
      this.#history.violate('successor', `${by} changed ${key} of ${known.by}`)
    }
  }
}

function rangeOf(bundle: string): readonly [number, number] {
  const [start = '', end = ''] = bundle.slice(bundle.lastIndexOf('/') + 1).split('_')
  return [Number(start), Number(end)]
}

function isBetween(hash: number, [start, end]: readonly [number, number]): boolean {
  return hash >= start && (hash < end || end === 0xffff_ffff)
}

/** Format 1, then a message whose first field is the epoch. */
function epochOf(value: Uint8Array): number {
  if (value[0] !== 1 || value[1] !== 0x08) return 0
  let epoch = 0
  for (let at = 2, scale = 1; at < value.length; at++, scale *= 128) {
    const byte = value[at] ?? 0
    epoch += (byte & 0x7f) * scale
    if (byte < 128) break
  }
  return epoch
}
