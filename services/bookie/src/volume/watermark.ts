import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import type { BookieId, Clock } from '@strata/base'
import { encodeSegment, transactUntilAnswered, type MetadataStore } from '@strata/metadata'
import { BookieWatermarkSchema } from '../generated/bookie_pb.ts'

/** How far the journals of a volume are. */
export interface JournalExtent {
  /** Synced records, over all runs and all of its journals. */
  readonly sequence: number
  /**
   * The highest number of a journal file that has one; 0: none has. Where a sync failed, the sequences behind it are given out again in
   * a later file: an older copy of the volume, with what the failed one left, may have as many records as were told of since.
   */
  readonly file: number
}

/** How far a volume was when it told last. */
export interface Watermark extends JournalExtent {
  readonly volumeId: string
}

const VERSION = 1

/** undefined: none was told, or a later version of the program told it. @throws MetadataError */
export async function readWatermark(metadata: MetadataStore, bookieId: BookieId): Promise<Watermark | undefined> {
  const record = await metadata.get(watermarkKey(bookieId))
  if (record === undefined) return undefined
  const { version, volumeId, sequence, file } = fromBinary(BookieWatermarkSchema, record.value)
  return version === VERSION ? { volumeId, sequence: Number(sequence), file } : undefined
}

/** @throws MetadataError: whether it was written is unknown, which costs nothing */
export async function writeWatermark(
  metadata: MetadataStore,
  { bookieId, volumeId, sequence, file, clock }: Watermark & { readonly bookieId: BookieId; readonly clock: Clock }
): Promise<void> {
  const row = create(BookieWatermarkSchema, { version: VERSION, volumeId, sequence: BigInt(sequence), file })
  const value = toBinary(BookieWatermarkSchema, row)
  const change = { kind: 'put', key: watermarkKey(bookieId), value } as const
  await transactUntilAnswered(metadata, { compares: [], changes: [change] }, { clock })
}

function watermarkKey(bookieId: BookieId): string {
  return `bookies/${encodeSegment(bookieId)}/watermark`
}
