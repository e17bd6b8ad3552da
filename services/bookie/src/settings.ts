/** Sizes in bytes, times in milliseconds. */
export interface BookieSettings {
  /** A journal file is closed at about this size. */
  readonly journalFileBytes: number
  /** When all journal files together are larger, the oldest ones are moved into entry logs. */
  readonly journalBytesMax: number
  /** A journal file older than this is moved even when there is room. */
  readonly journalAgeMsMax: number
  /** Each of the two write buffers starts with this and doubles under load up to `writeBufferBytesMax`. */
  readonly writeBufferBytes: number
  readonly writeBufferBytesMax: number
  /** How long a lone large entry may wait for another one before it is written. 0: not at all. */
  readonly journalGroupWaitMs: number
  /** The index is written when this many bytes or entries of journal are not in it yet, or after `indexFlushMs`. */
  readonly indexFlushBytes: number
  readonly indexFlushEntries: number
  readonly indexFlushMs: number
  /** Journal is read and sorted in pieces of this size when it is moved. */
  readonly moveChunkBytes: number
  /** Bound on background copying. Twice past `journalBytesMax` it is not obeyed. */
  readonly moveBytesPerSecond: number
  /** Sparse entry logs are merged when less than this part of them is live. */
  readonly compactBelowLiveRatio: number
  /** Bound on reading everything to compare it with its digests; 0: only when it is asked for. */
  readonly scrubBytesPerSecond: number
  /** From the end of such a round (or the start) to the next one. */
  readonly scrubIntervalMs: number
  readonly readAheadBytes: number
  readonly readAheadCacheBytes: number
  /** Memory for the last writes, which readers at the tail ask for; 0: none, where the broker is in the same process. */
  readonly recentBytes: number
  /** How often deletions, compaction, disk space and (while failed) a new journal file are tried. */
  readonly housekeepingMs: number
  /** How often the metadata store is told how far the journal is: what a volume that is rolled back may lose unnoticed. */
  readonly tellSequenceMs: number
  /** Free bytes below which adds are refused; reads and deletes go on. They are taken again at one and a half times as much. */
  readonly readOnlyBelowBytes: number
  /**
   * A file of this size in the index's directory, and a small one in the others, are given up when the disk is full, so that
   * deletes can make room. Much less than `readOnlyBelowBytes`, or their room would be taken for room. 0: none.
   */
  readonly reserveBytes: number
  /** Free bytes needed to start. */
  readonly startFreeBytesMin: number
}

const MIB = 1024 * 1024

export const defaultBookieSettings: BookieSettings = {
  journalFileBytes: 128 * MIB,
  journalBytesMax: 4096 * MIB,
  journalAgeMsMax: 30 * 60_000,
  writeBufferBytes: 2 * MIB,
  writeBufferBytesMax: 8 * MIB,
  journalGroupWaitMs: 0,
  indexFlushBytes: 256 * MIB,
  indexFlushEntries: 400_000,
  indexFlushMs: 10_000,
  moveChunkBytes: 32 * MIB,
  moveBytesPerSecond: 96 * MIB,
  compactBelowLiveRatio: 0.5,
  scrubBytesPerSecond: 4 * MIB,
  scrubIntervalMs: 6 * 3_600_000,
  readAheadBytes: 1 * MIB,
  readAheadCacheBytes: 16 * MIB,
  recentBytes: 0,
  housekeepingMs: 2_000,
  tellSequenceMs: 60_000,
  readOnlyBelowBytes: 512 * MIB,
  reserveBytes: 0,
  startFreeBytesMin: 256 * MIB
}
