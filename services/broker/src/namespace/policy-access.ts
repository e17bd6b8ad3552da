import type { PolicySpecs, Problem } from './policy-spec.ts'

/** What decides, beside grants, who may do what. */
export interface AccessPolicies {
  /** `Prefix`: names of subscriptions begin with the role that uses them. */
  subscriptionAuthMode: string
}

export const accessPolicies: PolicySpecs<AccessPolicies> = {
  subscriptionAuthMode: {
    field: 'subscription_auth_mode',
    onNamespace: { path: 'subscriptionAuthMode', isKept: true, unset: () => 'None' },
    parse: parseSubscriptionAuthMode
  }
}

function parseSubscriptionAuthMode(value: unknown): string | Problem {
  return value === 'None' || value === 'Prefix' ? value : { problem: 'Invalid subscription auth mode' }
}
