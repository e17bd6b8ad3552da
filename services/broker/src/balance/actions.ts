import type { BrokerAddress } from '../ownership/contract.ts'
import type { HttpPeers } from '../peers/http-peers.ts'
import { namespaceOfBundle, rangeOfBundle } from './load.ts'

/** What the leader asks owners to do. Each rejects with one line that says why it was not done. */
export interface BalanceActions {
  move(bundle: string, from: BrokerAddress, to: BrokerAddress): Promise<void>
  split(bundle: string, owner: BrokerAddress, options: { unload: boolean }): Promise<void>
  /** `right`, which follows `left`, comes to the owner of `left` first if it is another's. */
  merge(left: string, right: string, owner: BrokerAddress): Promise<void>
}

const REASON_CHARS_MAX = 200

/** By the owner's own admin API: what an operator would call. */
export function createHttpActions(peers: Pick<HttpPeers, 'call'>): BalanceActions {
  const put = async (broker: BrokerAddress, path: string): Promise<void> => {
    const { status, body } = await peers.call(broker, { method: 'PUT', path })
    if (status < 300) return
    throw new Error(`${broker.id} answered ${status} ${body.toString('utf8').slice(0, REASON_CHARS_MAX)}`.trim())
  }
  return {
    async move(bundle, from, to) {
      await put(from, `${pathOf(bundle)}/unload?destinationBroker=${encodeURIComponent(to.id)}`)
    },
    async split(bundle, owner, { unload }) {
      // halves of the topics, not of the range: a bundle is hot because of topics
      await put(owner, `${pathOf(bundle)}/split?unload=${unload}&splitAlgorithmName=topic_count_equally_divide`)
    },
    async merge(left, right, owner) {
      await put(owner, `${pathOf(left)}/merge?with=${rangeOfBundle(right)}`)
    }
  }
}

function pathOf(bundle: string): string {
  return `/admin/v2/namespaces/${namespaceOfBundle(bundle)}/${rangeOfBundle(bundle)}`
}
