import { fields, type PolicySpecs, type Problem } from './policy-spec.ts'

/** How fast; 0 and less: no limit. */
export interface RatePolicies {
  publishRate: { publishThrottlingRateInMsg: number; publishThrottlingRateInByte: number }
}

export const ratePolicies: PolicySpecs<RatePolicies> = {
  publishRate: {
    field: 'publishMaxMessageRate',
    isByCluster: true,
    onNamespace: { path: 'publishRate' },
    onTopic: { path: 'publishRate' },
    parse: parsePublishRate,
    ofBroker: () => ({ publishThrottlingRateInMsg: 0, publishThrottlingRateInByte: 0 })
  }
}

function parsePublishRate(value: unknown): RatePolicies['publishRate'] | Problem {
  const { publishThrottlingRateInMsg: messages = -1, publishThrottlingRateInByte: bytes = -1 } = fields(value)
  if (!Number.isSafeInteger(messages) || !Number.isSafeInteger(bytes)) return { problem: 'Invalid publish rate' }
  return { publishThrottlingRateInMsg: messages as number, publishThrottlingRateInByte: bytes as number }
}
