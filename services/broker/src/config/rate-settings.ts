import { boolean, number } from '@strata/base'

/** How fast messages go out and consumers come in. Policies of namespaces and topics say otherwise where they are set. */
export const rateSettings = {
  maxPublishRatePerTopicInMessages: number({
    default: 0,
    dynamic: true,
    doc: 'Messages a second that may be published to a topic; 0: no limit.'
  }),
  maxPublishRatePerTopicInBytes: number({
    default: 0,
    unit: 'bytes',
    dynamic: true,
    doc: 'Bytes a second that may be published to a topic; 0: no limit.'
  }),
  dispatchThrottlingRateInMsg: number({
    default: 0,
    dynamic: true,
    doc: 'Messages a second to all consumers of the broker; 0: no limit.'
  }),
  dispatchThrottlingRateInByte: number({
    default: 0,
    unit: 'bytes',
    dynamic: true,
    doc: 'Bytes a second to all consumers of the broker; 0: no limit.'
  }),
  dispatchThrottlingRatePerTopicInMsg: number({
    default: 0,
    dynamic: true,
    doc: 'Messages a second to all consumers of a topic; 0: no limit.'
  }),
  dispatchThrottlingRatePerTopicInByte: number({
    default: 0,
    unit: 'bytes',
    dynamic: true,
    doc: 'Bytes a second to all consumers of a topic; 0: no limit.'
  }),
  dispatchThrottlingRatePerSubscriptionInMsg: number({
    default: 0,
    dynamic: true,
    doc: 'Messages a second to all consumers of a subscription; 0: no limit.'
  }),
  dispatchThrottlingRatePerSubscriptionInByte: number({
    default: 0,
    unit: 'bytes',
    dynamic: true,
    doc: 'Bytes a second to all consumers of a subscription; 0: no limit.'
  }),
  dispatchThrottlingRateRelativeToPublishRate: boolean({
    default: false,
    dynamic: true,
    doc: 'These rates of topics and subscriptions count besides what is published meanwhile.'
  }),
  dispatchThrottlingOnNonBacklogConsumerEnabled: boolean({
    default: true,
    dynamic: true,
    doc: 'Dispatch rates hold for subscriptions that have caught up, too.'
  }),
  dispatchThrottlingOnBatchMessageEnabled: boolean({
    default: false,
    dynamic: true,
    doc: 'Dispatch rates count a batch as one message.'
  }),
  dispatcherPauseOnAckStatePersistentEnabled: boolean({
    default: false,
    doc: 'Send nothing new to consumers whose acknowledgements could not be kept. They always can: it holds, whatever is said.'
  }),
  subscribeThrottlingRatePerConsumer: number({
    default: 0,
    dynamic: true,
    doc: 'How often a consumer may subscribe in a period; 0: no limit.'
  }),
  subscribeRatePeriodPerConsumerInSecond: number({
    default: 30,
    min: 1,
    unit: 's',
    dynamic: true,
    doc: 'Length of that period.'
  }),
  resourceUsageTransportPublishIntervalInSecs: number({
    default: 1,
    min: 1,
    unit: 's',
    doc: 'How often brokers tell each other what they use of resource groups, whose rates they share by it.'
  })
} as const
