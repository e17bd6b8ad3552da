export type * from './metadata-store.ts'
