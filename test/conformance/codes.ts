// Each client library has its own words for the same refusal. Rows know only one: the wire protocol's, or ours for what the client decides itself.

/** Library name → common name. A name that is not here is common already. */
const ALIASES: Readonly<Record<string, string>> = {
  AlreadyClosedError: 'AlreadyClosed',
  Authentication: 'AuthenticationError',
  Authorization: 'AuthorizationError',
  BrokerMetadata: 'MetadataError',
  BrokerMetadataError: 'MetadataError',
  BrokerPersistence: 'PersistenceError',
  BrokerPersistenceError: 'PersistenceError',
  Checksum: 'ChecksumError',
  ConsumerAssign: 'ConsumerAssignError',
  ConsumerClosed: 'AlreadyClosed',
  CumulativeAcknowledgementNotAllowedError: 'CumulativeAckNotAllowed',
  FeatureNotSupported: 'NotAllowedError',
  InvalidTopic: 'InvalidTopicName',
  Lookup: 'LookupError',
  NotAllowed: 'NotAllowedError',
  NotFound: 'TopicNotFound',
  ProducerClosed: 'AlreadyClosed',
  Retryable: 'ServiceNotReady',
  ServiceUnitNotReady: 'ServiceNotReady',
  TimeoutError: 'Timeout',
  TopicDoesNotExist: 'TopicNotFound',
  TopicTerminatedError: 'TopicTerminated',
  TransactionCoordinatorNotFoundError: 'TransactionCoordinatorNotFound'
}

/** The common name of a failure. */
export function canonicalCode(code: string, message: string): string {
  // Java has one class for every message that it refuses to send
  if (code === 'InvalidMessage' && /exceeds|too (big|large)/i.test(message)) return 'MessageTooBig'
  return ALIASES[code] ?? code
}
