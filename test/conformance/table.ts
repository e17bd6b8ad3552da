// The table itself.
import { strict as assert } from 'node:assert'
import type { Row } from './row.ts'
import { acknowledgementRows } from './rows/acknowledgement.ts'
import { adminRows } from './rows/admin.ts'
import { keySharedRows } from './rows/key-shared.ts'
import { producerRows } from './rows/producers.ts'
import { loginRows } from './rows/logins.ts'
import { publishingRows } from './rows/publishing.ts'
import { readingRows } from './rows/reading.ts'
import { schemaRows } from './rows/schemas.ts'
import { specialRows } from './rows/special.ts'
import { subscriptionRows } from './rows/subscriptions.ts'
import { topicRows } from './rows/topics.ts'

export const table: readonly Row[] = [
  ...publishingRows,
  ...producerRows,
  ...subscriptionRows,
  ...keySharedRows,
  ...acknowledgementRows,
  ...readingRows,
  ...topicRows,
  ...schemaRows,
  ...specialRows,
  ...adminRows,
  ...loginRows
]

assert.equal(new Set(table.map(({ name }) => name)).size, table.length, 'two rows have one name')
