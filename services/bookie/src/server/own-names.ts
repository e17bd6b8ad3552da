import { randomUUID } from 'node:crypto'
import { bookieId, type BookieId } from '@strata/base'
import type { MetadataStore } from '@strata/metadata'
import { distinctDirectories, type Bookie, type BookieDirectories, type BookieOptions } from '../bookie-types.ts'
import { NodeDisk } from '../disk/node-disk.ts'
import { bookieErrors } from '../errors.ts'
import { openBookie } from '../open-bookie.ts'
import { readIdentity } from '../volume/identity-file.ts'
import { CLUSTER_ID_KEY } from '../volume/volume.ts'

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

export async function readClusterId(metadata: MetadataStore): Promise<string | undefined> {
  const record = await metadata.get(CLUSTER_ID_KEY)
  return record === undefined ? undefined : Buffer.from(record.value).toString()
}

/**
 * Opens the storage for the cluster whose store this is. An empty store becomes a new cluster's; of nodes that find it
 * empty at one time, one names it, and the others take that name.
 */
export async function openForCluster(
  options: Omit<BookieOptions, 'clusterId'>
): Promise<{ bookie: Bookie; clusterId: string }> {
  const known = await readClusterId(options.metadata)
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
