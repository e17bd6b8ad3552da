import type { ClientCertificate, Permission, Resource } from '@strata/auth'
import type { AdminRequest } from '../admin/operation.ts'
import { domainOf } from '../admin/operations/names.ts'
import { refuse } from '../admin/rest-error.ts'
import { isBrokerError } from '../errors.ts'
import { TopicName } from '../namespace/topic-name.ts'
import { resourceOf } from './access.ts'
import type { Guard } from './guard.ts'
import { causeOf } from './session.ts'

/** What a request carries of who sends it. */
export interface HttpCredentials {
  readonly authorization: string | undefined
  readonly method: string | undefined
  /** For whom a proxy asks. */
  readonly originalPrincipal: string | undefined
  readonly certificate: ClientCertificate | undefined
}

export function credentialsOf(
  headers: Readonly<Record<string, string | string[] | undefined>>,
  certificate: ClientCertificate | undefined
): HttpCredentials {
  const one = (name: string): string | undefined => {
    const value = headers[name]
    return typeof value === 'string' ? value : undefined
  }
  return {
    authorization: one('authorization'),
    method: one('x-pulsar-auth-method-name'),
    originalPrincipal: one('x-original-principal'),
    certificate
  }
}

/** The roles of who asks. @throws RestError 401; BrokerError ServiceNotReady */
export async function rolesOfRequest(
  guard: Guard,
  credentials: HttpCredentials,
  request: AdminRequest
): Promise<readonly string[]> {
  const { authorization, method, originalPrincipal, certificate } = credentials
  try {
    const { role } = await guard.identityOf({ authorization, method, certificate }, request.remoteAddress)
    return guard.rolesOf(role, originalPrincipal)
  } catch (error) {
    const { logger } = request.backend
    const fields = { event: 'http.refused', address: request.remoteAddress, reason: causeOf(error) }
    logger.info(fields, 'a request over HTTP was not believed')
    if (isBrokerError(error, 'AuthorizationError')) refuse(401, 'Invalid roles.')
    if (isBrokerError(error, 'AuthenticationError')) refuse(401, 'Authentication required')
    throw error
  }
}

/** @throws RestError 401, 403; MetadataError where it cannot be known */
export async function requireRoute(request: AdminRequest, permission: Permission): Promise<void> {
  await requireFor(request, permission, resourceOfPath(request))
}

/** Of what a request names in its body, where its path does not. @throws RestError 401, 403 */
export async function requireFor(request: AdminRequest, permission: Permission, resource: Resource): Promise<void> {
  const { roles, backend } = request
  const access = backend.guard?.access
  if (access === undefined || roles === undefined) return
  const { isAllowed, reason } = await access.decide(roles, permission, resource)
  if (isAllowed) return
  const fields = { event: 'access.refused', role: roles.at(-1), permission, reason, address: request.remoteAddress }
  backend.logger.info(fields, 'a request over HTTP is not allowed')
  refuseRoute(permission, resource, roles)
}

/** Statuses differ by what was asked, as in Apache Pulsar (protocol.md section 0, "HTTP"). */
function refuseRoute(permission: Permission, resource: Resource, roles: readonly string[]): never {
  const who = `originalPrincipal [${roles.length > 1 ? (roles.at(-1) ?? '') : ''}] and clientAuthPrincipal [${roles[0] ?? ''}]`
  if (permission === 'superuser') refuse(401, 'This operation requires super-user access')
  if (permission === 'tenant-admin' && resource.namespace === undefined) {
    refuse(401, "Don't have permission to administrate resources on this tenant")
  }
  const topic = resource.topics?.[0]
  if (topic !== undefined && permission !== 'tenant-admin') {
    refuse(401, `Unauthorized to ${permission} for ${who} on topic [${topic}]`)
  }
  refuse(403, `Unauthorized to ${permission} for ${who} on namespace [${resource.namespace ?? ''}]`)
}

/** What cannot be a name is told by the operation; here the widest thing that it could be counts. */
function resourceOfPath(request: AdminRequest): Resource {
  const { tenant, namespace, topic, subscription } = request.params
  if (tenant === undefined) return {}
  if (namespace === undefined) return { tenant }
  const full = `${tenant}/${namespace}`
  const whole = { tenant, namespace: full, ...(subscription === undefined ? {} : { subscription }) }
  if (topic === undefined) return whole
  try {
    return resourceOf(TopicName.of(domainOf(request), full, topic), subscription)
  } catch {
    return whole
  }
}
