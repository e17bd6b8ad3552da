/** What goes in and out over HTTP, in the form of a JSON schema. Descriptions only: nothing is checked by them. */
export interface Shape {
  readonly type?: 'string' | 'integer' | 'number' | 'boolean' | 'object' | 'array'
  readonly items?: Shape
  readonly properties?: Readonly<Record<string, Shape>>
  readonly additionalProperties?: Shape
  readonly enum?: readonly string[]
  readonly description?: string
}

export const TEXT: Shape = { type: 'string' }
export const INTEGER: Shape = { type: 'integer' }
export const TEXTS: Shape = { type: 'array', items: TEXT }
export const OBJECT: Shape = { type: 'object' }
export const OBJECTS: Shape = { type: 'array', items: OBJECT }
/** A map of texts. */
export const PROPERTIES: Shape = { type: 'object', additionalProperties: TEXT }
/** Anything, of which the operation says what it may be. */
export const ANY: Shape = {}

export function object(properties: Readonly<Record<string, Shape>>): Shape {
  return { type: 'object', properties }
}

export const CLUSTER = object({
  serviceUrl: TEXT,
  serviceUrlTls: TEXT,
  brokerServiceUrl: TEXT,
  brokerServiceUrlTls: TEXT,
  peerClusterNames: TEXTS
})

export const FAILURE_DOMAIN = object({ brokers: TEXTS })

export const ISOLATION_POLICY = object({
  namespaces: TEXTS,
  primary: TEXTS,
  secondary: TEXTS,
  auto_failover_policy: object({ policy_type: TEXT, parameters: PROPERTIES })
})

export const TENANT = object({ adminRoles: TEXTS, allowedClusters: TEXTS })

export const BUNDLES = object({ boundaries: TEXTS, numBundles: INTEGER })

export const PARTITIONS = object({ partitions: INTEGER, properties: PROPERTIES })

export const MESSAGE_ID = object({ ledgerId: INTEGER, entryId: INTEGER, partitionIndex: INTEGER })

export const SCHEMA = object({ version: INTEGER, type: TEXT, timestamp: INTEGER, data: TEXT, properties: PROPERTIES })

export const SCHEMA_PAYLOAD = object({ type: TEXT, schema: TEXT, properties: PROPERTIES })

const MESSAGE = object({
  payload: TEXT,
  key: TEXT,
  properties: PROPERTIES,
  eventTime: TEXT,
  sequenceId: INTEGER
})

/** Schemas as JSON in text. */
export const MESSAGES = object({
  keySchema: TEXT,
  valueSchema: TEXT,
  schemaVersion: INTEGER,
  producerName: TEXT,
  messages: { type: 'array', items: MESSAGE }
})

const ACK = object({ messageId: TEXT, errorCode: INTEGER, errorMsg: TEXT, schemaVersion: INTEGER })

export const ACKS = object({ messagePublishResults: { type: 'array', items: ACK }, schemaVersion: INTEGER })

export const LOOKUP = object({ brokerUrl: TEXT, brokerUrlTls: TEXT, httpUrl: TEXT, httpUrlTls: TEXT, nativeUrl: TEXT })
