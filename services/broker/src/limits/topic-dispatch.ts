import type { Clock } from '@strata/base'
import type { BrokerSettings } from '../config/settings.ts'
import type { EffectivePolicies, PolicyDispatchRate } from '../namespace/effective-policies.ts'
import { DispatchLimit } from './dispatch-limit.ts'
import type { Rate } from './rate-pair.ts'
import type { DispatchLimits } from './dispatch-throttle.ts'

/** What is published to the topic lately, which a rate may be relative to. */
interface PublishTraffic {
  readonly messages: { readonly perSecond: number }
  readonly bytes: { readonly perSecond: number }
}

/** Limits that topics of several namespaces share, by the group's name. */
interface GroupsOfTopics {
  of(group: string): { readonly dispatch: DispatchLimit }
}

/** The dispatch rates of a topic and of its subscriptions, as policies and settings have them. */
export class TopicDispatch {
  readonly #broker: DispatchLimit
  readonly #settings: BrokerSettings
  readonly #traffic: PublishTraffic
  readonly #clock: Clock
  readonly #groups: GroupsOfTopics
  #policies: EffectivePolicies
  /** Of a topic that was ever limited. */
  #topic: DispatchLimit | undefined

  constructor(options: {
    readonly env: {
      readonly clock: Clock
      readonly settings: BrokerSettings
      readonly dispatchLimit: DispatchLimit
      readonly resourceGroups: GroupsOfTopics
    }
    readonly traffic: PublishTraffic
    readonly policies: EffectivePolicies
  }) {
    const { clock, settings, dispatchLimit, resourceGroups } = options.env
    this.#clock = clock
    this.#groups = resourceGroups
    this.#settings = settings
    this.#broker = dispatchLimit
    this.#traffic = options.traffic
    this.#policies = options.policies
    this.setPolicies(options.policies)
  }

  setPolicies(policies: EffectivePolicies): void {
    this.#policies = policies
    const { dispatchThrottlingRateInMsg: messages, dispatchThrottlingRateInByte: bytes } = this.#settings
    this.#broker.setRate({ messagesPerSecond: messages, bytesPerSecond: bytes })
    this.#limitTopic()
  }

  /** Rates that are relative go by what was published lately. True: some are. */
  onSampled(): boolean {
    const { dispatchRate, subscriptionDispatchRate, dispatchRateOf } = this.#policies
    const all = [dispatchRate, subscriptionDispatchRate, ...dispatchRateOf.values()]
    if (!all.some(({ isRelative }) => isRelative)) return false
    this.#limitTopic()
    return true
  }

  /** undefined: nothing holds it back. */
  limitsOf(subscription: string): DispatchLimits | undefined {
    const { subscriptionDispatchRate, dispatchRateOf, resourceGroup } = this.#policies
    const own = this.#rateOf(dispatchRateOf.get(subscription) ?? subscriptionDispatchRate)
    const broker = this.#broker.isOn ? this.#broker : undefined
    const topic = this.#topic?.isOn === true ? this.#topic : undefined
    const group = resourceGroup === undefined ? undefined : this.#groups.of(resourceGroup).dispatch
    const isFree = broker === undefined && group === undefined && topic === undefined && own === undefined
    return isFree ? undefined : { broker, group, topic, subscription: own }
  }

  #limitTopic(): void {
    const rate = this.#rateOf(this.#policies.dispatchRate)
    if (rate !== undefined) this.#topic ??= new DispatchLimit(this.#clock)
    this.#topic?.setRate(rate ?? { messagesPerSecond: 0, bytesPerSecond: 0 })
  }

  #rateOf({ messagesPerSecond, bytesPerSecond, isRelative }: PolicyDispatchRate): Rate | undefined {
    if (messagesPerSecond <= 0 && bytesPerSecond <= 0) return undefined
    if (!isRelative) return { messagesPerSecond, bytesPerSecond }
    const { messages, bytes } = this.#traffic
    return {
      messagesPerSecond: messagesPerSecond > 0 ? messagesPerSecond + messages.perSecond : 0,
      bytesPerSecond: bytesPerSecond > 0 ? bytesPerSecond + bytes.perSecond : 0
    }
  }
}
