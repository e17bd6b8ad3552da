import { ackSetOf, positionOf } from './fields.ts'
import {
  AckView,
  CommandAck_AckType,
  decodeAck,
  decodeCommand,
  wireErrors,
  type CommandBody,
  type IdList
} from '@strata/wire'
import type { AckedMessage, Consumer } from '../../contract.ts'
import { brokerErrors } from '../../errors.ts'
import { safeId, type ConnectionContext } from '../context.ts'

const LOW = 0xffff_ffffn

/**
 * Reads ACKs in place. One a connection: the view is reused. protocol.md section 0, "Acknowledging": an unknown consumer
 * and an ACK without request id are met with silence; a receipt comes only once the acknowledgement is durable.
 */
export class AckPath {
  readonly #connection: ConnectionContext
  readonly #view = new AckView()

  constructor(connection: ConnectionContext) {
    this.#connection = connection
  }

  /** @throws MALFORMED_FRAME */
  onFrame(buffer: Buffer, start: number, end: number): void {
    const view = this.#view
    if (!decodeAck(buffer, start, end, view)) {
      this.#onRare(buffer, start, end)
      return
    }
    const slot = this.#connection.consumers.get(view.consumerId)
    if (slot?.kind !== 'ready') return
    const { consumer } = slot
    if (view.isCumulative) {
      if (view.ids.count === 1) consumer.acknowledgeCumulative(ackedMessage(view.ids, 0))
    } else consumer.acknowledge(ackedMessages(view.ids), false)
    if (view.hasRequestId) this.#confirm(consumer, view.consumerId, view.requestIdLow, view.requestIdHigh)
  }

  #confirm(consumer: Consumer, consumerId: number, requestIdLow: number, requestIdHigh: number): void {
    const connection = this.#connection
    const { cursor } = consumer.subscription
    if (cursor === undefined) {
      connection.sendAckResponse(consumerId, requestIdLow, requestIdHigh)
      return
    }
    cursor.afterDurable(error => {
      if (error === undefined) {
        connection.sendAckResponse(consumerId, requestIdLow, requestIdHigh)
        return
      }
      connection.reply('ackResponse', {
        consumerId: BigInt(consumerId),
        requestId: (BigInt(requestIdHigh) << 32n) | BigInt(requestIdLow),
        error: brokerErrors.PersistenceError.wire,
        message: 'The acknowledgement could not be stored'
      })
    })
  }

  /** Transactions, validation errors, properties, chunk ids, ids that are none of ours. */
  #onRare(buffer: Buffer, start: number, end: number): void {
    const command = decodeCommand(buffer, start, end)
    if (command.case !== 'ack') throw wireErrors.create('MALFORMED_FRAME', { reason: 'not an acknowledgement' })
    const ack = command.value
    const consumerId = safeId(ack.consumerId)
    const slot = this.#connection.consumers.get(consumerId)
    if (slot?.kind !== 'ready') return
    const hasRequestId = Object.hasOwn(ack, 'requestId')
    if (Object.hasOwn(ack, 'txnidMostBits') || Object.hasOwn(ack, 'txnidLeastBits')) {
      if (hasRequestId) this.#refuseTransaction(ack)
      return
    }
    const messages = ack.messageId.map(id => ({ ...positionOf(id), remaining: ackSetOf(id.ackSet) }))
    const [first] = messages
    if (ack.ackType === CommandAck_AckType.Individual) {
      slot.consumer.acknowledge(messages, Object.hasOwn(ack, 'validationError'))
    } else if (messages.length === 1 && first !== undefined) slot.consumer.acknowledgeCumulative(first)
    if (!hasRequestId) return
    this.#confirm(slot.consumer, consumerId, Number(ack.requestId & LOW), Number(ack.requestId >> 32n))
  }

  #refuseTransaction(ack: CommandBody<'ack'>): void {
    this.#connection.reply('ackResponse', {
      consumerId: ack.consumerId,
      requestId: ack.requestId,
      txnidLeastBits: ack.txnidLeastBits,
      txnidMostBits: ack.txnidMostBits,
      error: brokerErrors.NotAllowedError.wire,
      message: 'Transactions are not enabled.'
    })
  }
}

function ackedMessages(ids: IdList): AckedMessage[] {
  const messages: AckedMessage[] = []
  for (let index = 0; index < ids.count; index++) messages.push(ackedMessage(ids, index))
  return messages
}

/** An empty set acknowledges the whole entry. */
function ackedMessage(ids: IdList, index: number): AckedMessage {
  const words = ids.ackSetWords[index] as number
  let remaining: Int32Array | undefined
  if (words > 0) {
    const from = (ids.ackSetStarts[index] as number) * 2
    remaining = new Int32Array(words * 2)
    for (let half = 0; half < words * 2; half++) remaining[half] = ids.ackSets[from + half] as number
  }
  return { ledgerId: ids.ledgerIds[index] as number, entryId: ids.entryIds[index] as number, remaining }
}
