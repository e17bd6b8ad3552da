import type { Permission, Resource } from '@strata/auth'
import type { ConnectionContext } from '../connection/context.ts'
import { brokerError } from '../errors.ts'

/** What a command needs. `asking` goes into the refusal: "Client is not authorized to <asking>". */
export interface Need {
  readonly permission: Permission
  readonly resource: Resource
  readonly asking: string
  /** Whom a proxy names in the command itself. */
  readonly originalRole?: string
}

/**
 * Undefined where nothing is checked, so that a broker without authorization waits for nothing.
 * @throws (rejects) BrokerError AuthorizationError; MetadataError where it cannot be known
 */
export function requireAllowed(connection: ConnectionContext, need: () => Need): Promise<void> | undefined {
  const { session } = connection
  if (session?.isChecked !== true) return undefined
  const { permission, resource, asking, originalRole } = need()
  return session.isAllowed(permission, resource, originalRole).then(isAllowed => {
    if (!isAllowed) throw brokerError('AuthorizationError', `Client is not authorized to ${asking}`)
  })
}

/** To be called with `accessVersion` of before the decision: what was revoked while something came about is closed again. */
export function decideAgain(connection: ConnectionContext, sinceVersion: number | undefined, namespace: string): void {
  if (connection.session?.accessVersion === sinceVersion) return
  connection.services.revocations?.noticed(namespace)
}
