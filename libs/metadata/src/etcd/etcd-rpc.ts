import type { Message, MessageInitShape } from '@bufbuild/protobuf'
import type { GenMessage } from '@bufbuild/protobuf/codegenv2'
import {
  AuthenticateRequestSchema,
  AuthenticateResponseSchema,
  LeaseGrantRequestSchema,
  LeaseGrantResponseSchema,
  LeaseKeepAliveRequestSchema,
  LeaseKeepAliveResponseSchema,
  LeaseRevokeRequestSchema,
  LeaseRevokeResponseSchema,
  RangeRequestSchema,
  RangeResponseSchema,
  TxnRequestSchema,
  TxnResponseSchema,
  type ResponseHeader
} from '../generated/etcd_pb.ts'
import { encodeTxn } from './txn-message.ts'

export type Answer = Message & { header?: ResponseHeader }

/** One of etcd's calls with one request and one answer. */
export interface Rpc<Request extends Message, Response extends Answer> {
  readonly path: string
  readonly request: GenMessage<Request>
  readonly response: GenMessage<Response>
  /** By hand, where the schema's way costs too much. */
  readonly encode?: (request: MessageInitShape<GenMessage<Request>>) => Uint8Array
  /** Is the revision of its answer as new as everything that was answered before it was asked? */
  readonly isLinearizable: boolean
}

export const RANGE = {
  path: '/etcdserverpb.KV/Range',
  request: RangeRequestSchema,
  response: RangeResponseSchema,
  isLinearizable: true
}

export const TXN = {
  path: '/etcdserverpb.KV/Txn',
  request: TxnRequestSchema,
  response: TxnResponseSchema,
  encode: encodeTxn,
  isLinearizable: true
}

export const LEASE_GRANT = {
  path: '/etcdserverpb.Lease/LeaseGrant',
  request: LeaseGrantRequestSchema,
  response: LeaseGrantResponseSchema,
  isLinearizable: false
}

export const LEASE_REVOKE = {
  path: '/etcdserverpb.Lease/LeaseRevoke',
  request: LeaseRevokeRequestSchema,
  response: LeaseRevokeResponseSchema,
  isLinearizable: false
}

/** A stream in etcd's schema; a stream of one request and one answer is the same as a call. */
export const LEASE_KEEP_ALIVE = {
  path: '/etcdserverpb.Lease/LeaseKeepAlive',
  request: LeaseKeepAliveRequestSchema,
  response: LeaseKeepAliveResponseSchema,
  isLinearizable: false
}

export const AUTHENTICATE = {
  path: '/etcdserverpb.Auth/Authenticate',
  request: AuthenticateRequestSchema,
  response: AuthenticateResponseSchema,
  isLinearizable: false
}

export const WATCH_PATH = '/etcdserverpb.Watch/Watch'
