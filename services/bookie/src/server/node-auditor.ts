import { randomInt } from 'node:crypto'
import { systemClock, type BookieId, type Logger } from '@strata/base'
import { createLedgerClient, type BookieNode, type RegistryBookieDirectory } from '@strata/ledger-client'
import { openBookieRegistry, type NodeRuns, type NodeSecurity } from '@strata/ledger-client/grpc'
import type { MetadataStore } from '@strata/metadata'
import type { AuditTimes } from '../auditor/audit-term.ts'
import { Auditor } from '../auditor/auditor.ts'
import { AUDITOR_LEADER_KEY } from '../auditor/care-records.ts'
import type { AuditedDirectory } from '../auditor/node-watch.ts'
import type { BookieServerSettings } from './settings.ts'

export interface NodeAuditor {
  readonly auditor: Auditor
  /** The node that leads now, as far as the metadata says. @throws MetadataError */
  leader(): Promise<string | undefined>
  /** Lets another node lead. */
  close(): Promise<void>
}

/** Of what others send to it: some pieces of copies. Nothing that is in a hurry comes by the same connections. */
const WINDOW_BYTES = 8 * 1024 * 1024
/** It recovers ledgers and makes none. */
const NO_NEW_LEDGERS = { ensembleSize: 1, writeQuorum: 1, ackQuorum: 1 }

/** This node as one of those that may lead the care for copies, with the cluster's secret or certificate. @throws MetadataError */
export async function openNodeAuditor(options: {
  settings: BookieServerSettings
  metadata: MetadataStore
  logger: Logger
  clusterId: string
  bookieId: BookieId
  security: NodeSecurity
  /** This node's own. */
  runs: NodeRuns
  /** Is told where this node finds those that it copies from. */
  useNodes: (find: (id: BookieId) => BookieNode | undefined) => void
}): Promise<NodeAuditor> {
  const { settings, metadata, logger, clusterId, bookieId, security, runs, useNodes } = options
  const doors = { metadata, logger, clock: systemClock }
  const directory = await openBookieRegistry({ ...doors, clusterId, security, windowBytes: WINDOW_BYTES })
  useNodes(id => directory.node(id))
  const random = (): number => randomInt(2 ** 32) / 2 ** 32
  const ledgers = createLedgerClient({ ...doors, directory, random, quorum: NO_NEW_LEDGERS })
  const auditor = Auditor.start({
    ...{ ...doors, directory: withOwnRuns(directory, bookieId, runs), ledgers, random, bookieId },
    leaseMs: settings.metadataStoreSessionTimeoutMillis,
    times: timesOf(settings)
  })
  return {
    auditor,
    leader: async () => {
      const record = await metadata.get(AUDITOR_LEADER_KEY)
      return record === undefined ? undefined : Buffer.from(record.value).toString()
    },
    close: async () => {
      await auditor.close()
      useNodes(() => undefined)
      directory.close()
    }
  }
}

/** The same nodes, but that copies to and from this one do not go over the wire. */
function withOwnRuns(directory: RegistryBookieDirectory, own: BookieId, runs: NodeRuns): AuditedDirectory {
  const nodeOf = (id: BookieId): BookieNode | undefined => {
    const node = directory.node(id)
    if (node === undefined || id !== own) return node
    return {
      ...{ bookieId: own, ...runs },
      add: (request, sink) => node.add(request, sink),
      read: options => node.read(options),
      readLac: options => node.readLac(options),
      writeLac: options => node.writeLac(options),
      inventory: options => node.inventory(options),
      heldLedgers: options => node.heldLedgers(options),
      damagedEntries: page => node.damagedEntries(page)
    }
  }
  return {
    node: nodeOf,
    writable: () => directory.writable(),
    bookies: () => directory.bookies(),
    onChange: run => directory.onChange(run)
  }
}

function timesOf(settings: BookieServerSettings): AuditTimes {
  return {
    lostAfterMs: settings.lostBookieRecoveryDelay * 1000,
    openLedgerGraceMs: settings.openLedgerRereplicationGracePeriod,
    checkMs: settings.auditorPeriodicBookieCheckInterval * 1000,
    verifyMs: settings.auditorPeriodicCheckInterval * 1000,
    orphanGraceMs: settings.strataOrphanLedgerGraceSec === 0 ? -1 : settings.strataOrphanLedgerGraceSec * 1000,
    retryMs: settings.rwRereplicateBackoffMs,
    bytesPerSecond: settings.replicationRateByBytes
  }
}
