import { randomUUID } from 'node:crypto'
import { bookieId, type BookieId } from '@strata/base'
import { AVAILABLE_BOOKIES_PREFIX } from '@strata/ledger-client'
import { distinctDirectories, type Bookie, type BookieDirectories, type BookieOptions } from '../bookie-types.ts'
import { NodeDisk } from '../disk/node-disk.ts'
import { bookieErrors } from '../errors.ts'
import { openBookie } from '../open-bookie.ts'
import { readIdentity } from '../volume/identity-file.ts'
import { readClusterId } from '../volume/cluster-id.ts'
import { startError } from './errors.ts'

/**
 * The node that the configuration names; else the one whose disk this is, so that a disk keeps its node wherever it goes;
 * else a new one. @throws WRONG_VOLUME: an identity file is damaged
 */
export async function ownBookieId(configured: string, directories: BookieDirectories): Promise<BookieId> {
  if (configured !== '') return bookieId(configured)
  const disk = new NodeDisk()
  for (const directory of distinctDirectories(directories)) {
    const identity = await readIdentity(disk, directory)
    if (identity !== undefined) return bookieId(identity.bookieId)
  }
  return bookieId(randomUUID())
}

/**
 * Opens the storage for the cluster whose store this is. An empty store becomes a new cluster's; of nodes that find it
 * empty at one time, one names it, and the others take that name. A store that lost its name is never given another one.
 * @throws STORE_NAMELESS; what opening the storage throws
 */
export async function openForCluster(
  options: Omit<BookieOptions, 'clusterId'>
): Promise<{ bookie: Bookie; clusterId: string }> {
  const known = await readClusterId(options.metadata)
  if (known === undefined) await checkNew(options)
  const clusterId = known ?? randomUUID()
  try {
    return { bookie: await openBookie({ ...options, clusterId }), clusterId }
  } catch (error) {
    if (known !== undefined || !bookieErrors.is(error, 'WRONG_CLUSTER')) throw error
    const named = await readClusterId(options.metadata)
    if (named === undefined) throw error
    return { bookie: await openBookie({ ...options, clusterId: named }), clusterId: named }
  }
}

/** Is this a store that never had a name? @throws STORE_NAMELESS: it is not; DIRECTORY_IN_USE */
async function checkNew({ metadata, directories }: Omit<BookieOptions, 'clusterId'>): Promise<void> {
  const disk = new NodeDisk()
  for (const directory of distinctDirectories(directories)) {
    const identity = await readIdentity(disk, directory)
    if (identity === undefined) continue
    // whoever has the directory is the likelier mistake, and told first
    const unlock = await disk.lock(directory)
    await unlock()
    refuse(`the disk is of cluster ${identity.clusterId}`, identity.clusterId)
  }
  const nodes = await metadata.scan({ prefix: AVAILABLE_BOOKIES_PREFIX, keysOnly: true, limit: 1 })
  // who names a store does so before it joins
  const isNamed = nodes.records.length === 0 || (await readClusterId(metadata)) !== undefined
  if (!isNamed) refuse('nodes are there that are of one', 'ID')
}

function refuse(found: string, id: string): never {
  const advice = `check metadataStoreUrl; if the store was emptied, run strata fsck --recover-cluster-id ${id}`
  throw startError('STORE_NAMELESS', `the metadata store names no cluster, and ${found}: ${advice}`)
}
