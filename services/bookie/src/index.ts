export {
  bookieDirectories,
  type Bookie,
  type BookieDirectories,
  type BookieHealth,
  type BookieOptions,
  type BookieStats
} from './bookie-types.ts'
export type { DamagedRange } from './storage/damage.ts'
export { bookieErrors } from './errors.ts'
export { journalSettings } from './journal-settings.ts'
export { lockDirectory } from './disk/directory-lock.ts'
export { openBookie } from './open-bookie.ts'
export { defaultBookieSettings, type BookieSettings } from './settings.ts'
export { CLUSTER_ID_KEY } from './volume/cluster-id.ts'
export type { StoreStanding } from './volume/store-signature.ts'
