/**
 * What a command or a route asks of whoever uses it. `open`: nothing, not even a name. `authenticated`: a name.
 * `superuser` and `tenant-admin` are of the cluster, and of the tenant of the path. `lookup` is what any of `produce` and
 * `consume` gives. All but the first three are granted on a namespace, and `produce` and `consume` on a topic as well;
 * admins of the tenant may all of them, and super users everything.
 */
export type Permission = 'open' | 'authenticated' | 'superuser' | 'tenant-admin' | 'lookup' | Action

/** What can be granted, by Apache Pulsar's names. */
export const ACTIONS = ['produce', 'consume', 'functions', 'sources', 'sinks', 'packages'] as const

export type Action = (typeof ACTIONS)[number]

export function isAction(text: string): text is Action {
  return ACTIONS.some(action => action === text)
}
