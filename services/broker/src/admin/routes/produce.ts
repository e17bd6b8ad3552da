import type { Route } from '../route.ts'
import { produce, produceToPartition } from '../operations/rest-produce.ts'
import { ACKS, MESSAGES } from '../shapes.ts'

const TOPIC = '/topics/:domain/:tenant/:namespace/:topic'

export const produceRoutes: readonly Route[] = [
  {
    method: 'POST',
    path: TOPIC,
    name: 'produceOnTopic',
    operation: produce,
    scope: 'topic',
    permission: 'produce',
    body: MESSAGES,
    reply: ACKS
  },
  {
    method: 'POST',
    path: `${TOPIC}/partitions/:partition`,
    name: 'produceOnTopicPartition',
    operation: produceToPartition,
    permission: 'produce',
    body: MESSAGES,
    reply: ACKS
  }
]
