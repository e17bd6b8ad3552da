import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import type { BookieId, Clock } from '@strata/base'
import { encodeSegment, transactUntilAnswered, type MetadataStore } from '@strata/metadata'
import { BookieWatermarkSchema } from '../generated/bookie_pb.ts'

/** How far a volume's journals were when it told last: synced records, over all runs and all of its journals. */
export interface Watermark {
  readonly volumeId: string
  readonly sequence: number
}

const VERSION = 1

/** undefined: none was told, or a later version of the program told it. @throws MetadataError */
export async function readWatermark(metadata: MetadataStore, bookieId: BookieId): Promise<Watermark | undefined> {
  const record = await metadata.get(watermarkKey(bookieId))
  if (record === undefined) return undefined
  const { version, volumeId, sequence } = fromBinary(BookieWatermarkSchema, record.value)
  return version === VERSION ? { volumeId, sequence: Number(sequence) } : undefined
}

/** @throws MetadataError: whether it was written is unknown, which costs nothing */
export async function writeWatermark(
  metadata: MetadataStore,
  { bookieId, volumeId, sequence, clock }: Watermark & { readonly bookieId: BookieId; readonly clock: Clock }
): Promise<void> {
  const row = create(BookieWatermarkSchema, { version: VERSION, volumeId, sequence: BigInt(sequence) })
  const value = toBinary(BookieWatermarkSchema, row)
  const change = { kind: 'put', key: watermarkKey(bookieId), value } as const
  await transactUntilAnswered(metadata, { compares: [], changes: [change] }, { clock })
}

function watermarkKey(bookieId: BookieId): string {
  return `bookies/${encodeSegment(bookieId)}/watermark`
}
