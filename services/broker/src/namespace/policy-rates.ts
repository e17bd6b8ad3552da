import type { BrokerSettings } from '../config/settings.ts'
import { fields, type PolicySpec, type PolicySpecs, type Problem } from './policy-spec.ts'

/** How fast; 0 and less: no limit. */
export interface RatePolicies {
  publishRate: { publishThrottlingRateInMsg: number; publishThrottlingRateInByte: number }
  /** Of all subscriptions of a topic together. */
  dispatchRate: DispatchRateValue
  /** Of each subscription. */
  subscriptionDispatchRate: DispatchRateValue
  subscribeRate: { subscribeThrottlingRatePerConsumer: number; ratePeriodInSecond: number }
  /** Whose rates the namespace shares with others, by name. Set and read in ways of its own. */
  resourceGroup: string
}

/** So many in each period; relative: besides what is published meanwhile. */
export interface DispatchRateValue {
  dispatchThrottlingRateInMsg: number
  dispatchThrottlingRateInByte: number
  relativeToPublishRate: boolean
  ratePeriodInSecond: number
}

export const ratePolicies: PolicySpecs<RatePolicies> = {
  publishRate: {
    field: 'publishMaxMessageRate',
    isByCluster: true,
    onNamespace: { path: 'publishRate' },
    onTopic: { path: 'publishRate' },
    parse: parsePublishRate,
    ofBroker: settings => ({
      publishThrottlingRateInMsg: settings.maxPublishRatePerTopicInMessages,
      publishThrottlingRateInByte: settings.maxPublishRatePerTopicInBytes
    })
  },
  dispatchRate: dispatchRate('topicDispatchRate', 'dispatchRate', settings => ({
    dispatchThrottlingRateInMsg: settings.dispatchThrottlingRatePerTopicInMsg,
    dispatchThrottlingRateInByte: settings.dispatchThrottlingRatePerTopicInByte
  })),
  subscriptionDispatchRate: dispatchRate('subscriptionDispatchRate', 'subscriptionDispatchRate', settings => ({
    dispatchThrottlingRateInMsg: settings.dispatchThrottlingRatePerSubscriptionInMsg,
    dispatchThrottlingRateInByte: settings.dispatchThrottlingRatePerSubscriptionInByte
  })),
  subscribeRate: {
    field: 'clusterSubscribeRate',
    isByCluster: true,
    onNamespace: { path: 'subscribeRate' },
    onTopic: { path: 'subscribeRate' },
    parse: parseSubscribeRate,
    ofBroker: settings => ({
      subscribeThrottlingRatePerConsumer: settings.subscribeThrottlingRatePerConsumer,
      ratePeriodInSecond: settings.subscribeRatePeriodPerConsumerInSecond
    })
  },
  resourceGroup: {
    field: 'resource_group_name',
    parse: value => (typeof value === 'string' && value !== '' ? value : { problem: 'ResourceGroup does not exist' })
  }
}

function dispatchRate(
  field: string,
  path: string,
  ratesOf: (
    settings: BrokerSettings
  ) => Pick<DispatchRateValue, 'dispatchThrottlingRateInMsg' | 'dispatchThrottlingRateInByte'>
): PolicySpec<DispatchRateValue> {
  return {
    field,
    isByCluster: true,
    onNamespace: { path },
    onTopic: { path },
    parse: parseDispatchRate,
    ofBroker: settings => ({
      ...ratesOf(settings),
      relativeToPublishRate: settings.dispatchThrottlingRateRelativeToPublishRate,
      ratePeriodInSecond: 1
    })
  }
}

function parsePublishRate(value: unknown): RatePolicies['publishRate'] | Problem {
  const { publishThrottlingRateInMsg: messages = -1, publishThrottlingRateInByte: bytes = -1 } = fields(value)
  if (!Number.isSafeInteger(messages) || !Number.isSafeInteger(bytes)) return { problem: 'Invalid publish rate' }
  return { publishThrottlingRateInMsg: messages as number, publishThrottlingRateInByte: bytes as number }
}

/** As it was sent: what is left out, and a period of nothing, is 0. */
function parseDispatchRate(value: unknown): DispatchRateValue | Problem {
  const {
    dispatchThrottlingRateInMsg: messages = 0,
    dispatchThrottlingRateInByte: bytes = 0,
    relativeToPublishRate = false,
    ratePeriodInSecond: period = 0
  } = fields(value)
  const areWhole = Number.isSafeInteger(messages) && Number.isSafeInteger(bytes) && Number.isSafeInteger(period)
  if (!areWhole || typeof relativeToPublishRate !== 'boolean') return { problem: 'Invalid dispatch rate' }
  return {
    dispatchThrottlingRateInMsg: messages as number,
    dispatchThrottlingRateInByte: bytes as number,
    relativeToPublishRate,
    ratePeriodInSecond: period as number
  }
}

function parseSubscribeRate(value: unknown): RatePolicies['subscribeRate'] | Problem {
  const { subscribeThrottlingRatePerConsumer: rate = -1, ratePeriodInSecond: period = 30 } = fields(value)
  if (!Number.isSafeInteger(rate) || !Number.isSafeInteger(period)) return { problem: 'Invalid subscribe rate' }
  return { subscribeThrottlingRatePerConsumer: rate as number, ratePeriodInSecond: period as number }
}
