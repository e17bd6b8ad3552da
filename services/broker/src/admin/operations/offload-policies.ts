import { offloadSettingsWith } from '../../namespace/policy-offload.ts'
import { bodyOf, done, jsonOrEmpty, missingBody, unreadable, type Operation } from '../operation.ts'
import { requiredNamespace } from './names.ts'
import { warnIfStoredOnly } from './policies.ts'

/** One number of the offload policies that has a path of its own. */
export interface OffloadNumber {
  readonly field: string
  /** What is shown where nobody set it. */
  readonly unset?: number
  readonly setStatus?: 200
}

export function offloadNumberOperations({
  field,
  unset,
  setStatus
}: OffloadNumber): Record<'get' | 'set' | 'remove', Operation> {
  const policy = 'offloadPolicies'
  return {
    get: async request => {
      const { name } = await requiredNamespace(request)
      const settings = await request.backend.namespaces.policies.get(name, policy)
      return jsonOrEmpty(settings?.[field] ?? unset)
    },
    set: async request => {
      const { name } = await requiredNamespace(request)
      const value = bodyOf(request) ?? missingBody()
      if (typeof value !== 'number' || !Number.isSafeInteger(value)) return unreadable('A whole number is needed')
      await request.backend.namespaces.policies.update(name, policy, now => offloadSettingsWith(now, field, value))
      warnIfStoredOnly(request, { policy, value, of: name })
      return done(setStatus)
    },
    remove: async request => {
      const { name } = await requiredNamespace(request)
      await request.backend.namespaces.policies.update(name, policy, now =>
        now === undefined ? undefined : offloadSettingsWith(now, field, undefined)
      )
      return done()
    }
  }
}
