import { createHmac, timingSafeEqual } from 'node:crypto'
import {
  credentials,
  Metadata,
  ServerCredentials,
  ServerInterceptingCall,
  status,
  type ChannelCredentials,
  type ServerInterceptor
} from '@grpc/grpc-js'

/**
 * How nodes and those who use them know each other: certificates of one authority, a secret of the cluster, or both. A
 * secret keeps strangers out who can reach the port; against those who read or change what is on the wire only TLS helps.
 */
export interface NodeSecurity {
  /** The first is sent, each is accepted, so that it can be changed without a stop. Empty: nobody is asked for one. */
  readonly secrets: readonly string[]
  /** PEM. Both sides show a certificate, and take one that this authority signed. */
  readonly tls: NodeTls | undefined
}

export interface NodeTls {
  readonly authority: Buffer
  readonly certificate: Buffer
  readonly key: Buffer
}

/** For a port that nobody else can reach. */
export const NO_SECURITY: NodeSecurity = { secrets: [], tls: undefined }

const PROOF_KEY = 'strata-proof'

/** Whom a call is for. */
interface Target {
  readonly clusterId: string
  readonly nodeId: string
}

/** What a call must carry. It proves the secret to one node and one method, and tells nothing of it. */
function proofOf(secret: string, { clusterId, nodeId }: Target, path: string): string {
  const text = ['strata-node 1', clusterId, nodeId, path].join('\n')
  return createHmac('sha256', secret).update(text).digest('base64url')
}

export function clientCredentials({ tls }: NodeSecurity): ChannelCredentials {
  if (tls === undefined) return credentials.createInsecure()
  return credentials.createSsl(tls.authority, tls.key, tls.certificate)
}

/** Of calls to one method of one node; made once, shared by all of them. */
export function callMetadata({ secrets }: NodeSecurity, target: Target, path: string): Metadata {
  const metadata = new Metadata()
  const [secret] = secrets
  if (secret !== undefined) metadata.set(PROOF_KEY, proofOf(secret, target, path))
  return metadata
}

export function serverCredentials({ tls }: NodeSecurity): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure()
  return ServerCredentials.createSsl(
    tls.authority,
    [{ cert_chain: tls.certificate, private_key: tls.key }],
    true // a client without a certificate does not get past the handshake
  )
}

/** Refuses calls without a right proof before any of their messages is read. */
export function proofInterceptor(
  { secrets }: NodeSecurity,
  options: { target: Target; paths: readonly string[]; onRefused: (peer: string) => void }
): ServerInterceptor {
  const { target, paths, onRefused } = options
  const accepted = new Map(paths.map(path => [path, secrets.map(secret => Buffer.from(proofOf(secret, target, path)))]))
  return (method, call) =>
    new ServerInterceptingCall(call, {
      start(next) {
        next({
          onReceiveMetadata(metadata, deliver) {
            const [proof] = metadata.get(PROOF_KEY)
            if (isAccepted(typeof proof === 'string' ? proof : '', accepted.get(method.path) ?? [])) {
              deliver(metadata)
              return
            }
            onRefused(call.getPeer())
            call.sendStatus({ code: status.UNAUTHENTICATED, details: 'UNAUTHENTICATED' })
          }
        })
      }
    })
}

/** Looks at each of them, whatever the outcome: the time tells nothing. */
function isAccepted(proof: string, accepted: readonly Buffer[]): boolean {
  const given = Buffer.from(proof)
  let isRight = false
  for (const expected of accepted) {
    if (given.length === expected.length && timingSafeEqual(given, expected)) isRight = true
  }
  return isRight
}
