// A door of its own: who keeps or moves whole stores is a command, not a server.
export { restoreBackup, verifyBackup, writeBackup, type Backup } from './backup.ts'
export type { BackupCounts, BackupHead } from './backup-file.ts'
export { fillStore, type FillOptions } from './fill-store.ts'
export { endFilling } from '../store-hold.ts'
