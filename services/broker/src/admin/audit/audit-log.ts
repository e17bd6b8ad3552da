import { createReadStream } from 'node:fs'
import { appendFile, rename, rm, stat } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { reasonOf, type Logger } from '@strata/base'

/** One change that was asked of the admin API: what an auditor reads. */
export interface AuditRecord {
  /** ISO 8601. */
  readonly time: string
  /** That was asked. */
  readonly broker: string
  /** Who asked, and for whom; empty while nobody is asked who they are, and of who was not believed. */
  readonly roles: readonly string[]
  readonly address: string
  readonly operation: string
  readonly method: string
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
  readonly status: number
  /** Why not. */
  readonly reason?: string
  /** What was sent, as far as it is short and holds no secret. */
  readonly request?: unknown
  /** What the same path shows before and after; absent where it shows nothing. */
  readonly before?: unknown
  readonly after?: unknown
}

export interface AuditLogOptions {
  /** Of the newest file. Older ones have `.1`, `.2`, … behind it. */
  readonly path: string
  readonly fileBytesMax: number
  /** Files in all. */
  readonly filesMax: number
  readonly logger: Logger
}

/** Only its owner reads what others did. */
const MODE = 0o600

/**
 * Appends records to a file of this process alone, one JSON line each, and begins the next file when it is full.
 *
 * A record is handed to the system before `append` resolves: it outlives this process, not the machine. Appends are written one
 * after the other. What cannot be written is told in the log, with nothing of its content, and what was asked is done all the same.
 */
export class AuditLog {
  readonly #options: AuditLogOptions
  #bytes: number | undefined
  #last: Promise<void> = Promise.resolve()

  constructor(options: AuditLogOptions) {
    this.#options = options
  }

  /** Never rejects. */
  append(record: AuditRecord): Promise<void> {
    const line = Buffer.from(`${JSON.stringify(record)}\n`)
    this.#last = this.#last.then(() => this.#write(line, record.operation))
    return this.#last
  }

  /** Everything that was appended is written. */
  async close(): Promise<void> {
    await this.#last
  }

  async #write(line: Buffer, operation: string): Promise<void> {
    const { path, fileBytesMax, logger } = this.#options
    try {
      const bytes = this.#bytes ?? (await sizeOf(path))
      const isFull = bytes > 0 && bytes + line.length > fileBytesMax
      if (isFull) await this.#rotate()
      await appendFile(path, line, { mode: MODE })
      this.#bytes = (isFull ? 0 : bytes) + line.length
    } catch (error) {
      this.#bytes = undefined
      const fields = { event: 'audit.write_failed', operation, reason: reasonOf(error) }
      logger.error(fields, 'a change is not in the audit log')
    }
  }

  async #rotate(): Promise<void> {
    const { path, filesMax } = this.#options
    if (filesMax <= 1) {
      await rm(path, { force: true })
      return
    }
    await rm(`${path}.${filesMax - 1}`, { force: true })
    for (let index = filesMax - 2; index >= 0; index--) {
      const from = index === 0 ? path : `${path}.${index}`
      await rename(from, `${path}.${index + 1}`).catch(ignoreMissing)
    }
  }
}

/** What the files of a log hold, oldest first. Lines that are no records, as a crash may leave one, are passed over. */
export async function* readAuditLog(path: string): AsyncGenerator<AuditRecord> {
  let oldest = 0
  while ((await sizeOf(`${path}.${oldest + 1}`)) > 0) oldest++
  for (let index = oldest; index >= 0; index--) {
    const name = index === 0 ? path : `${path}.${index}`
    if ((await sizeOf(name)) === 0) continue
    for await (const line of createInterface({ input: createReadStream(name), crlfDelay: Infinity })) {
      const record = recordIn(line)
      if (record !== undefined) yield record
    }
  }
}

function recordIn(line: string): AuditRecord | undefined {
  try {
    const value: unknown = JSON.parse(line)
    const isRecord = typeof value === 'object' && value !== null && 'time' in value && 'operation' in value
    return isRecord ? (value as AuditRecord) : undefined
  } catch {
    return undefined
  }
}

/** 0 where there is none. */
async function sizeOf(path: string): Promise<number> {
  return await stat(path).then(({ size }) => size, ignoreMissing)
}

function ignoreMissing(error: NodeJS.ErrnoException): 0 {
  if (error.code === 'ENOENT') return 0
  throw error
}
