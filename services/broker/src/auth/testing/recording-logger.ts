import type { Logger } from '@strata/base'

/** Keeps every line, and knows when one has come. */
export class RecordingLogger implements Logger {
  readonly lines: string[] = []
  #waiting: { readonly event: string; readonly resolve: () => void }[] = []

  debug(fields: object, message: string): void {
    this.#add(fields, message)
  }

  info(fields: object, message: string): void {
    this.#add(fields, message)
  }

  warn(fields: object, message: string): void {
    this.#add(fields, message)
  }

  error(fields: object, message: string): void {
    this.#add(fields, message)
  }

  child(): Logger {
    return this
  }

  /** Resolves with the next line of this event. */
  async next(event: string): Promise<void> {
    await new Promise<void>(resolve => {
      this.#waiting.push({ event, resolve })
    })
  }

  #add(fields: object, message: string): void {
    this.lines.push(`${message} ${JSON.stringify(fields)}`)
    const event = 'event' in fields ? fields.event : undefined
    for (const waiter of this.#waiting.filter(({ event: wanted }) => wanted === event)) waiter.resolve()
    this.#waiting = this.#waiting.filter(({ event: wanted }) => wanted !== event)
  }
}
