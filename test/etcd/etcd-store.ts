import { randomUUID } from 'node:crypto'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { silentLogger, systemClock } from '@strata/base'
import { EtcdMetadataStore, type EtcdMetadataOptions } from '@strata/metadata/etcd'

/** The folder of the scripts that fetch and start peers. */
export const SCRIPTS = join(dirname(fileURLToPath(import.meta.url)), '..', 'peers')

export function freshPrefix(): string {
  return `/strata/${randomUUID()}/`
}

/** A store below a prefix of its own, unless told otherwise. */
export function openStore(
  options: Partial<EtcdMetadataOptions> & Pick<EtcdMetadataOptions, 'endpoints'>
): Promise<EtcdMetadataStore> {
  return EtcdMetadataStore.open({ prefix: freshPrefix(), clock: systemClock, logger: silentLogger, ...options })
}
