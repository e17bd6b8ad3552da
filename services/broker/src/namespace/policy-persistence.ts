import type { BrokerSettings } from '../config/settings.ts'
import { fields, type PolicySpecs, type Problem } from './policy-spec.ts'

/** On how many storage nodes messages are kept, and how often acknowledgements are written. */
export interface PersistencePolicies {
  /** Of ledgers that are begun from now on. */
  persistence: {
    bookkeeperEnsemble: number
    bookkeeperWriteQuorum: number
    bookkeeperAckQuorum: number
    /** Writes a second; 0 and less: as the broker does it. */
    managedLedgerMaxMarkDeleteRate: number
  }
}

/** Of brokers of a cluster; a standalone has one storage node. */
interface UsualQuorum {
  readonly managedLedgerDefaultEnsembleSize?: number
  readonly managedLedgerDefaultWriteQuorum?: number
  readonly managedLedgerDefaultAckQuorum?: number
}

export const persistencePolicies: PolicySpecs<PersistencePolicies> = {
  persistence: {
    field: 'persistence',
    onNamespace: { path: 'persistence' },
    onTopic: { path: 'persistence' },
    parse: parsePersistence,
    ofBroker: (settings: BrokerSettings & UsualQuorum) => ({
      bookkeeperEnsemble: settings.managedLedgerDefaultEnsembleSize ?? 1,
      bookkeeperWriteQuorum: settings.managedLedgerDefaultWriteQuorum ?? 1,
      bookkeeperAckQuorum: settings.managedLedgerDefaultAckQuorum ?? 1,
      managedLedgerMaxMarkDeleteRate: settings.managedLedgerDefaultMarkDeleteRateLimit
    })
  }
}

/** What Pulsar takes where a policy leaves one of its numbers of nodes out, whatever the broker does otherwise. */
const QUORUM_UNSAID = 2

function parsePersistence(value: unknown, settings: BrokerSettings): PersistencePolicies['persistence'] | Problem {
  const {
    bookkeeperEnsemble: ensemble = QUORUM_UNSAID,
    bookkeeperWriteQuorum: write = QUORUM_UNSAID,
    bookkeeperAckQuorum: ack = QUORUM_UNSAID,
    managedLedgerMaxMarkDeleteRate: rate = -1
  } = fields(value)
  const bounds = [
    ['Ensemble', ensemble, settings.managedLedgerMaxEnsembleSize],
    ['WriteQuorum', write, settings.managedLedgerMaxWriteQuorum],
    ['AckQuorum', ack, settings.managedLedgerMaxAckQuorum]
  ] as const
  for (const [name, size, max] of bounds) {
    const isInside = Number.isSafeInteger(size) && (size as number) > 0 && (size as number) <= max
    if (!isInside) return { problem: `Bookkeeper-${name} must be <= ${max} and > 0.` }
  }
  const [ensembleSize, writeQuorum, ackQuorum] = [ensemble as number, write as number, ack as number]
  if (ensembleSize < writeQuorum || writeQuorum < ackQuorum) {
    return {
      problem: `Bookkeeper Ensemble (${ensembleSize}) >= WriteQuorum (${writeQuorum}) >= AckQuorum (${ackQuorum})`
    }
  }
  if (typeof rate !== 'number') return { problem: 'The mark-delete rate must be a number' }
  return {
    bookkeeperEnsemble: ensembleSize,
    bookkeeperWriteQuorum: writeQuorum,
    bookkeeperAckQuorum: ackQuorum,
    managedLedgerMaxMarkDeleteRate: rate
  }
}
