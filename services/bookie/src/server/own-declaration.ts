import type { BookieId, Logger } from '@strata/base'
import type { MetadataStore, Watch } from '@strata/metadata'
import { declarationKey, decodeDeclaration } from '../auditor/care-records.ts'
import { auditorErrors } from '../auditor/errors.ts'

/** What an operator declared of this node, so that the node says so itself: it takes no new ledgers while it is to leave. */
export class OwnDeclaration {
  readonly #key: string
  readonly #log: Logger
  readonly #onChange: () => void
  #watch: Watch | undefined
  #version = 0
  #isDeclared = false

  private constructor(options: { bookieId: BookieId; logger: Logger; onChange: () => void }) {
    this.#key = declarationKey(options.bookieId)
    this.#log = options.logger
    this.#onChange = options.onChange
  }

  /** @throws MetadataError */
  static async open(
    metadata: MetadataStore,
    options: { bookieId: BookieId; logger: Logger; onChange: () => void }
  ): Promise<OwnDeclaration> {
    const own = new OwnDeclaration(options)
    own.#watch = await metadata.watch(own.#key, events => {
      for (const { key, value, version } of events) if (key === own.#key) own.#note(value, version)
    })
    const stored = await metadata.get(own.#key)
    if (stored !== undefined) own.#note(stored.value, stored.version)
    return own
  }

  /** It is to leave, or was declared destroyed and is there all the same: either way nothing new is to be put here. */
  get isLeaving(): boolean {
    return this.#isDeclared
  }

  close(): void {
    this.#watch?.close()
  }

  #note(value: Uint8Array | undefined, version: number): void {
    if (version < this.#version) return
    this.#version = version
    try {
      this.#isDeclared = value !== undefined && decodeDeclaration(value).declaredAtMs >= 0
    } catch (error) {
      if (!auditorErrors.is(error)) throw error
      this.#isDeclared = true // it was said that something is to happen to this node
    }
    const fields = { event: 'bookie.declaration_noted', isLeaving: this.#isDeclared }
    this.#log.info(fields, 'what operators declared of this node changed')
    this.#onChange()
  }
}
