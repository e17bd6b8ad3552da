import type { BookieId, Logger } from '@strata/base'
import { decodeSegment, encodeSegment, rowCodec, type MetadataStore } from '@strata/metadata'
import { LedgerError } from '../errors.ts'
import { BookieRackRowSchema } from '../generated/ledger-client_pb.ts'
import { WatchedRows } from './watched-rows.ts'

/** Values are stored in format version 1, see proto/storage/ledger-client.proto. */
const codec = rowCodec({
  version: 1,
  unreadable: ({ cause, ...problem }) => LedgerError.create('METADATA_CORRUPT', { ...problem }, cause)
})

export const BOOKIE_RACKS_PREFIX = 'bookie-racks/'

/** Where an operator says that a storage node stands, and what group it is of. Empty: not said. */
export interface BookieRack {
  readonly group: string
  readonly rack: string
  readonly hostname: string
}

export const bookieRackKey = (bookie: string): string => BOOKIE_RACKS_PREFIX + encodeSegment(bookie)

export function encodeBookieRack(rack: BookieRack): Uint8Array {
  return codec.encode(BookieRackRowSchema, { ...rack })
}

/** @throws LedgerError METADATA_CORRUPT */
export function decodeBookieRack(value: Uint8Array): BookieRack {
  const { group = '', rack = '', hostname = '' } = codec.decode(BookieRackRowSchema, value)
  return { group, rack, hostname }
}

/** What operators said about where nodes stand, as of now. It counts over what a node says of itself. */
export class BookieRacks {
  readonly #racks = new Map<string, BookieRack>()
  readonly #logger: Logger
  #rows: WatchedRows | undefined

  private constructor(logger: Logger) {
    this.#logger = logger
  }

  /** Knows all that was said when it resolves; `onChange` is called for each row, also before. @throws MetadataError */
  static async open(options: {
    readonly metadata: MetadataStore
    readonly logger: Logger
    readonly onChange: () => void
  }): Promise<BookieRacks> {
    const racks = new BookieRacks(options.logger)
    racks.#rows = await WatchedRows.open(options.metadata, BOOKIE_RACKS_PREFIX, (key, value) => {
      racks.#note(key, value)
      options.onChange()
    })
    return racks
  }

  of(bookie: BookieId): BookieRack | undefined {
    return this.#racks.get(bookie)
  }

  close(): void {
    this.#rows?.close()
  }

  #note(key: string, value: Uint8Array | undefined): void {
    const bookie = decodeSegment(key.slice(BOOKIE_RACKS_PREFIX.length))
    if (bookie === undefined) return
    this.#racks.delete(bookie)
    if (value === undefined) return
    try {
      this.#racks.set(bookie, decodeBookieRack(value))
    } catch (error) {
      if (!LedgerError.is(error)) throw error
      const fields = { event: 'bookie.rack_unreadable', bookieId: bookie, err: error }
      this.#logger.warn(fields, 'where a storage node stands cannot be read; what the node says itself counts')
    }
  }
}

/** A node in the place that an operator gave it. */
export function placedAs<Node extends { readonly rack?: string; readonly host?: string; readonly group?: string }>(
  node: Node,
  said: BookieRack | undefined
): Node {
  if (said === undefined) return node
  return {
    ...node,
    ...(said.group === '' ? {} : { group: said.group }),
    ...(said.rack === '' ? {} : { rack: said.rack }),
    ...(said.hostname === '' ? {} : { host: said.hostname })
  }
}
