import type { NodeChoice } from '@strata/ledger-client'
import type { ManagedLedgerFactory } from '@strata/managed-ledger'

/** Logs of topics whose ledgers go to the storage nodes of their namespace. */
export function placedLogs(
  logs: ManagedLedgerFactory,
  nodesOf: (namespace: string) => NodeChoice
): ManagedLedgerFactory {
  return {
    get cache() {
      return logs.cache
    },
    get openCount() {
      return logs.openCount
    },
    open: (name, options) => logs.open(name, { ...options, nodes: nodesOf(namespaceOf(name)) }),
    look: name => logs.look(name),
    exists: name => logs.exists(name),
    delete: (name, options) => logs.delete(name, options),
    sweep: (name, retention, options) => logs.sweep(name, retention, options),
    close: () => logs.close()
  }
}

/** Logs go by their topic's name in storage: `tenant/namespace/domain/local`. */
function namespaceOf(name: string): string {
  return name.split('/', 2).join('/')
}
