import { usageFailure } from './failure.ts'

export interface TopicPath {
  /** `persistent://tenant/namespace/name` */
  readonly full: string
  /** `persistent/tenant/namespace/name`, each part encoded, as the admin API has it in its paths. */
  readonly path: string
}

/** Takes `name`, `tenant/namespace/name` and the full form. @throws CommandFailure */
export function topicPath(name: string): TopicPath {
  const match = /^(?:(persistent|non-persistent):\/\/)?(.+)$/s.exec(name)
  const domain = match?.[1] ?? 'persistent'
  const rest = match?.[2] ?? ''
  const parts = rest.split('/')
  const [tenant = '', namespace = '', local] =
    parts.length === 1 && match?.[1] === undefined
      ? (['public', 'default', rest] as const)
      : ([parts[0], parts[1], parts.slice(2).join('/')] as const)
  if (tenant === '' || namespace === '' || local === '' || rest.includes('://')) {
    throw usageFailure(`${name} is no topic: write name, tenant/namespace/name or persistent://tenant/namespace/name`)
  }
  const encoded = [tenant, namespace, local].map(encodeURIComponent).join('/')
  return { full: `${domain}://${tenant}/${namespace}/${local}`, path: `${domain}/${encoded}` }
}

/** `tenant/namespace`, encoded for a path. @throws CommandFailure */
export function namespacePath(name: string): string {
  const parts = name.split('/')
  if (parts.length === 2 && parts.every(part => part !== '')) return parts.map(encodeURIComponent).join('/')
  throw usageFailure(`${name} is no namespace: write tenant/namespace, such as public/default`)
}

/** Two parts and no scheme: no topic can be written so. */
export function isNamespace(name: string): boolean {
  return !name.includes('://') && name.split('/').length === 2
}
