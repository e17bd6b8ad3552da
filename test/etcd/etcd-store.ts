import { randomUUID } from 'node:crypto'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { silentLogger, systemClock } from '@strata/base'
import type { FaultyProxy } from './faulty-proxy.ts'
import { EtcdMetadataStore, type EtcdMetadataOptions } from '@strata/metadata/etcd'

/** The folder of the scripts that fetch and start peers. */
export const SCRIPTS = join(dirname(fileURLToPath(import.meta.url)), '..', 'peers')

/** The first start of an etcd builds or fetches it. */
export const START_TIMEOUT_MS = 300_000

export function freshPrefix(): string {
  return `/strata/${randomUUID()}/`
}

/** A store below a prefix of its own, unless told otherwise. */
export function openStore(
  options: Partial<EtcdMetadataOptions> & Pick<EtcdMetadataOptions, 'endpoints'>
): Promise<EtcdMetadataStore> {
  return EtcdMetadataStore.open({ prefix: freshPrefix(), clock: systemClock, logger: silentLogger, ...options })
}

/** A store that was opened elsewhere before. All that its opening asks in the background is answered when this resolves. */
export async function openThrough(
  proxy: FaultyProxy,
  options: Partial<EtcdMetadataOptions> & { prefix: string }
): Promise<EtcdMetadataStore> {
  const before = proxy.answerCount
  const store = await openStore({ ...options, endpoints: [proxy.endpoint] })
  // which store it is, and how many operation ids there are
  await proxy.until(({ answerCount }) => answerCount === before + 2)
  return store
}
