import { encodeCommand, type CommandBody, type CommandInit } from '@strata/wire'
import type { Connection } from './connection.ts'
import { clientErrors } from './errors.ts'
import type { AccessMode, ProducerOptions, SchemaInfo } from './producer-options.ts'

/** What a producer is to the broker. The name and the topic's epoch come from the first answer. */
export interface ProducerIdentity {
  readonly id: number
  name: string
  /** Raised with every registration, so that the broker tells a new one from an old one. */
  epoch: bigint
  topicEpoch: bigint | undefined
}

const accessModes: Readonly<Record<AccessMode, 0 | 1 | 2 | 3>> = {
  shared: 0,
  exclusive: 1,
  'wait-for-exclusive': 2,
  'exclusive-with-fencing': 3
}

/** Sends PRODUCER; `onSuccess` runs before anything behind the answer is read. */
export function registerProducer(
  connection: Connection,
  identity: ProducerIdentity,
  options: ProducerOptions,
  onSuccess: (success: CommandBody<'producerSuccess'>) => void
): Promise<void> {
  return new Promise((resolve, reject) => {
    connection.requestWith('producer', producerCommand(identity, options), {
      onAnswer: answer => {
        if (answer.case !== 'producerSuccess') {
          reject(clientErrors.create('PROTOCOL_VIOLATION', { reason: 'unexpected answer', command: answer.case }))
          return
        }
        identity.name = answer.value.producerName
        if (Object.hasOwn(answer.value, 'topicEpoch')) identity.topicEpoch = answer.value.topicEpoch
        onSuccess(answer.value)
        resolve()
      },
      onError: error => {
        connection.removeProducer(identity.id)
        // The broker may still create it: without this it would stay there as long as the connection.
        if (clientErrors.is(error, 'TIMEOUT')) {
          connection.send(encodeCommand('closeProducer', { producerId: BigInt(identity.id), requestId: 0n }))
        }
        reject(error)
      }
    })
  })
}

function producerCommand(
  identity: ProducerIdentity,
  options: ProducerOptions
): Omit<CommandInit<'producer'>, 'requestId'> {
  const { initialSubscriptionName } = options
  return {
    topic: options.topic,
    producerId: BigInt(identity.id),
    ...(identity.name === '' ? {} : { producerName: identity.name }),
    epoch: identity.epoch++,
    userProvidedProducerName: options.name !== undefined,
    metadata: pairsOf(options.properties),
    producerAccessMode: accessModes[options.accessMode ?? 'shared'],
    ...(identity.topicEpoch === undefined ? {} : { topicEpoch: identity.topicEpoch }),
    ...(options.schema === undefined ? {} : { schema: schemaOf(options.schema) }),
    ...(initialSubscriptionName === undefined ? {} : { initialSubscriptionName })
  }
}

export function pairsOf(properties: Readonly<Record<string, string>> | undefined): { key: string; value: string }[] {
  return Object.entries(properties ?? {}).map(([key, value]) => ({ key, value }))
}

export function schemaOf(schema: SchemaInfo): NonNullable<CommandInit<'producer'>['schema']> {
  return {
    name: schema.name ?? '',
    type: schema.type,
    schemaData: schema.data,
    properties: pairsOf(schema.properties)
  }
}
