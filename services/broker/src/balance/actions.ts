import type { BrokerAddress } from '../ownership/contract.ts'
import { namespaceOfBundle, rangeOfBundle } from './load.ts'

/** What the leader asks owners to do. Each rejects with one line that says why it was not done. */
export interface BalanceActions {
  move(bundle: string, from: BrokerAddress, to: BrokerAddress): Promise<void>
  split(bundle: string, owner: BrokerAddress, options: { unload: boolean }): Promise<void>
}

const TIMEOUT_MS = 30_000
const REASON_CHARS_MAX = 200

/** By the owner's own admin API: what an operator would call. */
export function createHttpActions(): BalanceActions {
  return {
    async move(bundle, from, to) {
      await put(from, `${pathOf(bundle)}/unload?destinationBroker=${encodeURIComponent(to.id)}`)
    },
    async split(bundle, owner, { unload }) {
      // halves of the topics, not of the range: a bundle is hot because of topics
      await put(owner, `${pathOf(bundle)}/split?unload=${unload}&splitAlgorithmName=topic_count_equally_divide`)
    }
  }
}

function pathOf(bundle: string): string {
  return `/admin/v2/namespaces/${namespaceOfBundle(bundle)}/${rangeOfBundle(bundle)}`
}

async function put({ id, urls }: BrokerAddress, path: string): Promise<void> {
  const url = `${urls.httpUrl ?? `http://${id}`}${path}`
  const answer = await fetch(url, { method: 'PUT', redirect: 'follow', signal: AbortSignal.timeout(TIMEOUT_MS) })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${id} answered ${answer.status} ${text.slice(0, REASON_CHARS_MAX)}`.trim())
}
