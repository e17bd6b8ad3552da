import { createLogger } from '@strata/base'
import { CommandFailure } from '../failure.ts'
import { initCluster } from '../init-cluster.ts'
import { openMetadataStore } from '../metadata-door.ts'
import type { Keeper } from './keeper.ts'
import { Member, type Ending } from './member.ts'
import { CLUSTER_NAME, STOP_ORDER, type ClusterPlan, type MemberKind } from './plan.ts'

/**
 * The processes of a cluster: started from the bottom up, stopped from the top down. Restarts nothing by itself.
 */
export class Members {
  readonly plan: ClusterPlan
  readonly all: readonly Member[]
  readonly #stopping = new AbortController()
  /** One change at a time. */
  #turn: Promise<void> = Promise.resolve()

  constructor(plan: ClusterPlan, doors: { keeper: Keeper; onEnded: (ending: Ending) => void }) {
    this.plan = plan
    this.all = plan.members.map(member => new Member(member, doors))
  }

  /** @throws CommandFailure: what was started is stopped again by the caller */
  async start(): Promise<void> {
    const { signal } = this.#stopping
    await this.#each('etcd', member => member.start(signal))
    await prepare(this.plan.metadataUrl)
    await this.#each('bookie', member => member.start(signal))
    await this.#each('broker', member => member.start(signal))
  }

  /** One member anew, on the addresses and the data that it had. @throws CommandFailure: no such one; it does not start */
  restart(name: string): Promise<void> {
    return this.#alone(async () => {
      const member = this.all.find(({ plan }) => plan.name === name)
      if (member === undefined) throw new CommandFailure(`there is no ${name} in this cluster`)
      await member.stop()
      if (!this.#stopping.signal.aborted) await member.start(this.#stopping.signal)
    })
  }

  /** In order; what was started by then, and nothing more. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#alone(async () => {
      for (const kind of STOP_ORDER) await this.#each(kind, member => member.stop())
    })
  }

  killAll(): void {
    for (const member of this.all) member.kill()
  }

  #alone(work: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  /** All of a kind at once. Waits for all, also where one fails. */
  async #each(kind: MemberKind, run: (member: Member) => Promise<void>): Promise<void> {
    const members = this.all.filter(({ plan }) => plan.kind === kind)
    const results = await Promise.allSettled(members.map(run))
    for (const result of results) if (result.status === 'rejected') throw result.reason
  }
}

async function prepare(metadataUrl: string): Promise<void> {
  const metadata = await openMetadataStore(metadataUrl, { configPath: '', logger: createLogger({ level: 'error' }) })
  try {
    await initCluster(metadata, { cluster: CLUSTER_NAME })
  } finally {
    await metadata.close()
  }
}
