import { isUtf8 } from 'node:buffer'
import type { Message } from '@strata/client'
import { print, printJson } from './output.ts'

export interface ViewFlags {
  readonly json?: boolean
  readonly verbose?: boolean
}

/** Prints a message: its bytes and a newline; with `--verbose` where it is from before it; with `--json` all of it. */
export function printMessage(message: Message, flags: ViewFlags): Promise<void> | undefined {
  if (flags.json === true) return printJson(messageRecord(message))
  const head = flags.verbose === true ? `${describe(message)}\t` : ''
  return print(Buffer.concat([Buffer.from(head), message.data, NEWLINE]))
}

const NEWLINE = Buffer.from('\n')

/** Bytes that are not text are under `dataBase64` in place of `data`. */
export function messageRecord(message: Message): Record<string, unknown> {
  const { key, eventTimeMs, index, redeliveryCount } = message
  return {
    topic: message.topic,
    messageId: message.id.toString(),
    publishTime: new Date(message.publishTimeMs).toISOString(),
    ...(eventTimeMs > 0 ? { eventTime: new Date(eventTimeMs).toISOString() } : {}),
    ...(key === undefined ? {} : { key }),
    ...(index === undefined ? {} : { index }),
    properties: message.properties,
    producerName: message.producerName,
    sequenceId: Number(message.sequenceId),
    redeliveryCount,
    ...(isUtf8(message.data) ? { data: message.text } : { dataBase64: message.data.toString('base64') })
  }
}

function describe(message: Message): string {
  const properties = Object.entries(message.properties).map(([name, value]) => `${name}=${value}`)
  return [
    new Date(message.publishTimeMs).toISOString(),
    message.id.toString(),
    ...(message.key === undefined ? [] : [`key:${message.key}`]),
    ...properties
  ].join(' ')
}
