import { strict as assert } from 'node:assert'
import type { MessageInitShape } from '@bufbuild/protobuf'
import type { Change, MetadataRecord, Transaction, TransactionResult } from '../metadata-store.ts'
import type { EtcdKeys } from './etcd-keys.ts'
import { EtcdLease } from './etcd-lease.ts'
import { recordOf, versionOf } from './etcd-reader.ts'
import {
  CompareResult,
  CompareTarget,
  type CompareSchema,
  type KeyValue,
  type RequestOpSchema,
  type ResponseOp,
  type TxnRequestSchema,
  type TxnResponse
} from '../generated/etcd_pb.ts'

type RequestOp = MessageInitShape<typeof RequestOpSchema>
type Compare = MessageInitShape<typeof CompareSchema>
type TxnRequest = MessageInitShape<typeof TxnRequestSchema>

const COMMITTED = Buffer.from('c')
const REFUSED = Buffer.from('r')
const EMPTY = Buffer.alloc(0)

/** The row that tells this store from all others. Every change compares it, so that none is made in another store. */
export interface StoreIdentity {
  readonly key: Buffer
  readonly value: Buffer
}

/** What the row of a named transaction says. */
export type OperationState =
  | { readonly kind: 'none' }
  | { readonly kind: 'committed'; readonly revision: number }
  /** `generation`: the row's revision, which the next attempt under this name must name. */
  | { readonly kind: 'refused'; readonly generation: bigint }

export type Verdict =
  | { readonly kind: 'decided'; readonly result: TransactionResult }
  /** Not judged: another store than the one that was opened. */
  | { readonly kind: 'another-store' }
  /** Not judged: the name was used before, under another generation than the request said. */
  | { readonly kind: 'named-before'; readonly state: OperationState }

/**
 * One transaction as etcd's: its compares, its changes, and, if it has a name, the row under that name, which a commit
 * writes and which makes every later attempt fail. Pure.
 *
 * A name goes through generations. An attempt compares the revision of the name's row with its generation: 0 (no row) at
 * first; a commit or a refusal rewrites the row, so that attempts of that generation that are still on their way somewhere
 * can never be carried out.
 */
export class TransactionPlan {
  readonly #identity: StoreIdentity
  readonly #transaction: Transaction
  readonly #operation: Buffer | undefined
  readonly #compares: Compare[]
  readonly #changes: RequestOp[]
  readonly #lookups: RequestOp[]

  /** Takes copies: what the caller does to its bytes afterwards does not matter. */
  constructor(keys: EtcdKeys, identity: StoreIdentity, transaction: Transaction) {
    this.#identity = identity
    const { operationId, compares, changes } = transaction
    this.#transaction = transaction
    this.#operation = operationId === undefined ? undefined : keys.operation(operationId)
    this.#compares = compares.map(({ key, version }) => modEquals(keys.data(key), BigInt(version)))
    this.#changes = changes.map(change => changeOp(keys, change))
    if (this.#operation !== undefined) this.#changes.push(putOp(this.#operation, COMMITTED))
    else if (!changes.some(change => change.kind === 'put')) this.#changes.push(putOp(keys.touch, EMPTY))
    this.#lookups = compares.map(({ key }) => rangeOp(keys.data(key)))
    if (this.#operation !== undefined) this.#lookups.unshift(rangeOp(this.#operation))
    this.#lookups.unshift(rangeOp(identity.key))
  }

  request(generation: bigint): TxnRequest {
    const compare = [...this.#compares]
    if (this.#operation !== undefined) compare.unshift(modEquals(this.#operation, generation))
    compare.unshift(isStill(this.#identity))
    return { compare, success: this.#changes, failure: this.#lookups }
  }

  verdict(response: TxnResponse, generation: bigint): Verdict {
    if (response.succeeded) {
      const revision = Number(response.header?.revision ?? 0n)
      assert(Number.isSafeInteger(revision) && revision > 0, 'a revision is a safe integer')
      return { kind: 'decided', result: { committed: true, revision } }
    }
    const found = response.responses.map(rowOf)
    if (!isSame(this.#identity, found.shift())) return { kind: 'another-store' }
    if (this.#operation !== undefined) {
      const row = found.shift()
      if ((row?.modRevision ?? 0n) !== generation) return { kind: 'named-before', state: stateOf(row) }
    }
    return { kind: 'decided', result: { committed: false, conflicts: this.#conflicts(found) } }
  }

  #conflicts(found: readonly (KeyValue | undefined)[]): { key: string; current: MetadataRecord | undefined }[] {
    return this.#transaction.compares.flatMap(({ key, version }, i) => {
      const row = found[i]
      if ((row === undefined ? 0 : versionOf(row)) === version) return []
      return [{ key, current: row === undefined ? undefined : recordOf(key, row) }]
    })
  }
}

/** Makes it impossible that an attempt of `generation` is carried out from now on, unless one was: then it says so. */
export function refusalRequest(identity: StoreIdentity, operation: Buffer, generation: bigint): TxnRequest {
  return {
    compare: [isStill(identity), modEquals(operation, generation)],
    success: [putOp(operation, REFUSED)],
    failure: [rangeOp(identity.key), rangeOp(operation)]
  }
}

/** What stood against a refusal. */
export function refusalState(identity: StoreIdentity, response: TxnResponse): OperationState | 'another-store' {
  const [found, operation] = response.responses.map(rowOf)
  return isSame(identity, found) ? stateOf(operation) : 'another-store'
}

export function stateOf(row: KeyValue | undefined): OperationState {
  if (row === undefined) return { kind: 'none' }
  if (REFUSED.equals(row.value)) return { kind: 'refused', generation: row.modRevision }
  return { kind: 'committed', revision: versionOf(row) }
}

export function modEquals(key: Buffer, modRevision: bigint): Compare {
  return { result: CompareResult.EQUAL, target: CompareTarget.MOD, key, modRevision }
}

export function deleteOp(key: Uint8Array): RequestOp {
  return { request: { case: 'deleteRange', value: { key } } }
}

export function putOp(key: Buffer, value: Uint8Array, lease = 0n): RequestOp {
  return { request: { case: 'put', value: { key, value, lease } } }
}

export function valueEquals(key: Buffer, value: Uint8Array): Compare {
  return { result: CompareResult.EQUAL, target: CompareTarget.VALUE, key, value }
}

function isStill({ key, value }: StoreIdentity): Compare {
  return valueEquals(key, value)
}

function isSame({ value }: StoreIdentity, row: KeyValue | undefined): boolean {
  return row !== undefined && value.equals(row.value)
}

function rangeOp(key: Buffer): RequestOp {
  return { request: { case: 'range', value: { key } } }
}

function changeOp(keys: EtcdKeys, change: Change): RequestOp {
  const key = keys.data(change.key)
  if (change.kind === 'delete') return deleteOp(key)
  const { lease } = change
  assert(lease === undefined || lease instanceof EtcdLease, 'a lease belongs to the store that granted it')
  return putOp(key, new Uint8Array(change.value), lease?.number)
}

function rowOf({ response }: ResponseOp): KeyValue | undefined {
  return response.case === 'range' ? response.value.kvs[0] : undefined
}
