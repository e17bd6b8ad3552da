import type { Entry, ManagedLedger } from '@strata/managed-ledger'
import { CompressionType, joinHalves, readEntryProperties } from '@strata/wire'
import { json, numberParam, param, type AdminReply, type AdminRequest } from '../operation.ts'
import { refuse } from '../rest-error.ts'
import { requiredPersistent, requiredRecord, topicOf } from './names.ts'
import { entryIndexOf, messageIdJson, metadataOf } from './positions.ts'

/** What a payload may say of its size before it is unpacked: some words of a producer can ask for gigabytes. */
const UNCOMPRESSED_BYTES_MAX = 128 * 1024 * 1024

export async function getLastMessageId(request: AdminRequest): Promise<AdminReply> {
  const name = topicOf(request)
  const topic = await requiredPersistent(request, name, 'GetLastMessageId')
  return json(messageIdJson(topic.log.lastConfirmed, name.partitionIndex))
}

/** Before everything, as clients know it. */
const EARLIEST = { ledgerId: -1, entryId: -1 }

/** The first message published at or after the time, where the next one will be if there is none; `EARLIEST` for no time. */
export async function getMessageIdByTime(request: AdminRequest): Promise<AdminReply> {
  const name = topicOf(request)
  const timestampMs = numberParam(request, 'timestamp')
  await refusePartitioned(
    request,
    'Get message ID by timestamp on a partitioned topic is not allowed, please try do it on specific topic partition'
  )
  const { log } = await requiredPersistent(request, name, 'Get message ID by timestamp')
  if (timestampMs <= 0) return json(messageIdJson(EARLIEST, name.partitionIndex))
  const position = await log.findFirst(entry => metadataOf(entry).publishTimeMs >= timestampMs)
  return json(messageIdJson(position, name.partitionIndex))
}

const INDEX_INTERCEPTOR = 'AppendIndexMetadataInterceptor'

/** The message of that index, which entries have only where the broker is told to write it. */
export async function getMessageIdByIndex(request: AdminRequest): Promise<AdminReply> {
  if (!request.backend.settings.brokerEntryMetadataInterceptors.includes(INDEX_INTERCEPTOR)) {
    refuse(412, 'GetMessageIDByIndex is not allowed when broker entry metadata is disabled')
  }
  const index = Number(request.query.index ?? '')
  if (!Number.isSafeInteger(index) || index < 0) refuse(412, 'Invalid message index')
  await refusePartitioned(request, 'Get message ID by index is not allowed on partitioned-topic')
  const name = topicOf(request)
  const { log } = await requiredPersistent(request, name, 'GetMessageIDByIndex')
  const position = await log.findFirst(entry => (entryIndexOf(entry) ?? -1) >= index)
  const entry = await log.readOne(position)
  if (entry === undefined) return refuse(404, 'Message not found')
  return json(messageIdJson(position, name.partitionIndex))
}

/** The n-th entry that the subscription has not passed. */
export async function peekMessage(request: AdminRequest): Promise<AdminReply> {
  const name = topicOf(request)
  await refusePartitioned(request, 'Peek messages on a partitioned topic is not allowed')
  const topic = await requiredPersistent(request, name, 'Peek messages')
  const subscriptionName = param(request, 'subscription')
  const subscription = topic.subscriptions.get(subscriptionName)
  if (subscription?.cursor === undefined) {
    return refuse(404, `Subscription ${subscriptionName} not found for topic ${name.toString()}`)
  }
  const count = Math.max(1, numberParam(request, 'position'))
  const log = topic.log as ManagedLedger
  const { markDelete } = subscription.cursor
  if (log.countEntries(markDelete, log.lastConfirmed) < count) refuse(404, 'Message not found')
  return entryReply((await log.readOne(log.positionAfter(markDelete, count))) ?? refuse(404, 'Message not found'))
}

/** The n-th entry from the beginning or from the end. */
export async function examineMessage(request: AdminRequest): Promise<AdminReply> {
  const name = topicOf(request)
  await refusePartitioned(
    request,
    'Examine messages on a partitioned topic is not allowed, please try examine message on specific topic partition'
  )
  const topic = await requiredPersistent(request, name, 'Examine messages')
  const log = topic.log as ManagedLedger
  const entries = log.stats().entries
  if (entries === 0) refuse(412, 'Could not examine messages due to the total message is zero')
  const asked = Math.max(1, Number(request.query.messagePosition ?? 1) || 1)
  const nth = Math.min(asked, entries)
  const fromStart = request.query.initialPosition === 'earliest' ? nth : entries - nth + 1
  const beforeFirst = { ...log.firstPosition, entryId: log.firstPosition.entryId - 1 }
  return entryReply((await log.readOne(log.positionAfter(beforeFirst, fromStart))) ?? refuse(404, 'Message not found'))
}

export async function getEntry(request: AdminRequest): Promise<AdminReply> {
  await refusePartitioned(request, 'GetMessageById is not allowed on partitioned-topic')
  const topic = await requiredPersistent(request, topicOf(request), 'GetMessageById')
  const position = { ledgerId: numberParam(request, 'ledgerId'), entryId: numberParam(request, 'entryId') }
  if (position.ledgerId < 0 || position.entryId < 0) refuse(404, 'Message id not found')
  return entryReply((await topic.log.readOne(position)) ?? refuse(404, 'Message id not found'))
}

async function refusePartitioned(request: AdminRequest, reason: string): Promise<void> {
  const name = topicOf(request)
  const record = await requiredRecord(request, name)
  if (record.partitions > 0 && !name.isPartition) refuse(405, reason)
}

/** The payload, unpacked, and what is known of it in headers; a batch goes out whole, for the client to cut. */
async function entryReply(entry: Entry): Promise<AdminReply> {
  const view = metadataOf(entry)
  const properties = readEntryProperties(entry.payload, view.metadataStart, view.payloadStart)
  const stored = entry.payload.subarray(view.payloadStart, view.payloadEnd)
  const text = (start: number, end: number): string => entry.payload.toString('utf8', start, end)
  const headers: Record<string, string> = {
    'X-Pulsar-Message-ID': `${entry.ledgerId}:${entry.entryId}`,
    'X-Pulsar-PROPERTY': asciiJson(properties),
    'X-Pulsar-publish-time': isoTime(view.publishTimeMs),
    'X-Pulsar-producer-name': encodeHeader(text(view.producerNameStart, view.producerNameEnd)),
    'X-Pulsar-sequence-id': joinHalves(view.sequenceLow, view.sequenceHigh).toString(),
    'X-Pulsar-Is-Encrypted': String(view.encryptionKeyCount > 0),
    'X-Pulsar-txn-uncommitted': 'false'
  }
  if (view.eventTimeMs > 0) headers['X-Pulsar-event-time'] = isoTime(view.eventTimeMs)
  if (view.uncompressedBytes > 0) headers['X-Pulsar-uncompressed-size'] = String(view.uncompressedBytes)
  if (view.partitionKeyStart >= 0) {
    headers['X-Pulsar-partition-key-b64-encoded'] = String(view.isPartitionKeyBase64)
    headers['X-Pulsar-partition-key'] = encodeHeader(text(view.partitionKeyStart, view.partitionKeyEnd))
  }
  if (view.isBatch) {
    headers['X-Pulsar-num-batch-message'] = String(view.numMessages)
    headers['X-Pulsar-batch-size'] = String(view.numMessages)
  }
  if (view.hasNullValue) headers['X-Pulsar-null-value'] = 'true'
  // an encrypted payload is nobody's to unpack
  const body = view.encryptionKeyCount > 0 ? stored : await unpacked(stored, view.compression, view.uncompressedBytes)
  // of the type of JSON, whatever it is, as Pulsar says it
  return { status: 200, body, contentType: 'application/json', headers }
}

async function unpacked(payload: Buffer, compression: number, uncompressedBytes: number): Promise<Buffer> {
  if (compression === CompressionType.NONE) return payload
  if (uncompressedBytes > UNCOMPRESSED_BYTES_MAX) refuse(500, 'The stored message cannot be unpacked')
  // only here: a broker that nobody peeks into need not load four codecs before it starts
  const { decompress, prepareCompression } = await import('@strata/client')
  await prepareCompression()
  try {
    return decompress(compression, payload, uncompressedBytes)
  } catch {
    return refuse(500, 'The stored message cannot be unpacked')
  }
}

function isoTime(ms: number): string {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString()
}

/** Header values are Latin-1 without control characters: what does not fit is escaped, which JSON allows everywhere. */
function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[^\x20-\x7e]/g,
    unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
  )
}

function encodeHeader(text: string): string {
  return /^[\x20-\x7e]*$/.test(text) ? text : encodeURIComponent(text)
}
