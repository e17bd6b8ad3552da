import { strict as assert } from 'node:assert'
import { entryId, type BookieId, type LedgerId } from '@strata/base'
import { describe, test } from 'vitest'
import { seededRandom } from '../testing/fixtures.ts'
import type { Auditor } from './auditor.ts'
import { AuditWorld, TIMES } from './testing/audit-world.ts'

const SEEDS = 12
const EPISODES = 8
const QUORUMS = [
  { ensembleSize: 3, writeQuorum: 3, ackQuorum: 2 },
  { ensembleSize: 2, writeQuorum: 2, ackQuorum: 2 },
  { ensembleSize: 4, writeQuorum: 2, ackQuorum: 2 },
  { ensembleSize: 5, writeQuorum: 3, ackQuorum: 2 }
]

interface Kept {
  readonly id: LedgerId
  readonly last: number
}

/** Troubles one after another, each of which leaves every entry a good copy: after each, all have all their copies again. */
class Episodes {
  readonly #world: AuditWorld
  readonly #auditor: Auditor
  readonly #random: () => number
  readonly #ledgers: Kept[] = []
  #added = 0
  readonly names: string[] = []

  constructor(world: AuditWorld, auditor: Auditor, random: () => number) {
    this.#world = world
    this.#auditor = auditor
    this.#random = random
  }

  async run(): Promise<void> {
    const episodes = [
      () => this.#write(),
      () => this.#returnEmpty(),
      () => this.#vanish(),
      () => this.#returnLate(),
      () => this.#damage(),
      () => this.#leave()
    ]
    for (let i = 0; i < 4; i++) await this.#write()
    for (let i = 0; i < EPISODES; i++) {
      await (episodes[this.#below(episodes.length)] ?? assert.fail())()
      await this.#settle()
      for (const { id, last } of this.#ledgers) await this.#world.checkWhole(id, last)
    }
  }

  async #write(): Promise<void> {
    this.names.push('write')
    const count = this.#below(40)
    const quorum = QUORUMS[this.#below(QUORUMS.length)] ?? assert.fail()
    const isClosed = this.#below(3) > 0
    const id = isClosed
      ? await this.#world.writeClosed(count, { quorum })
      : (await this.#world.write(count, { quorum })).ledgerId
    this.#ledgers.push({ id, last: count - 1 })
  }

  async #returnEmpty(): Promise<void> {
    await this.#closeAll()
    const node = this.#pick('return empty')
    await this.#world.takeAway(node)
    await this.#world.bringBack(node, { isEmpty: true })
  }

  async #vanish(): Promise<void> {
    await this.#world.takeAway(this.#pick('vanish'))
    await this.#world.addNode(`x${this.#added++}`)
  }

  /** After its grace, while its copies may be under way. */
  async #returnLate(): Promise<void> {
    const node = this.#pick('return late')
    await this.#world.takeAway(node)
    this.#world.clock.advance(TIMES.lostAfterMs)
    for (let i = this.#below(60); i > 0; i--) await new Promise<void>(resolve => setImmediate(resolve))
    await this.#world.bringBack(node)
  }

  async #damage(): Promise<void> {
    await this.#closeAll()
    const node = this.#pick('damage')
    for (const { id } of this.#ledgers) {
      for (const entry of this.#world.node(node).entryIds(id)) {
        if (this.#below(4) === 0) this.#world.node(node).corrupt(id, entryId(entry))
      }
    }
    this.#auditor.trigger('verify')
  }

  /** What a writer still has is its own until it is closed. */
  async #closeAll(): Promise<void> {
    for (const { id } of this.#ledgers) await this.#world.client.recover(id)
  }

  async #leave(): Promise<void> {
    const node = this.#pick('leave')
    await this.#world.addNode(`x${this.#added++}`)
    await this.#world.declare(node, 'leaving')
    await this.#settle()
    await this.#world.takeAway(node)
  }

  /** Long enough for every grace, and for nodes of two episodes not to have gone at once. */
  async #settle(): Promise<void> {
    for (let i = 0; i < 20; i++) {
      await this.#auditor.settled()
      this.#world.clock.advance(200_000)
    }
    await this.#auditor.settled()
    assert.deepEqual(this.#auditor.status()?.unfinished, [])
  }

  #pick(name: string): BookieId {
    const nodes = this.#world.directory.writable()
    const node = nodes[this.#below(nodes.length)]?.bookieId ?? assert.fail()
    this.names.push(`${name} ${node}`)
    return node
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit)
  }
}

describe('the care for copies', () => {
  test(`every entry has all its copies again after each trouble (${SEEDS} seeds)`, async () => {
    for (let seed = 0; seed < SEEDS; seed++) {
      const world = await AuditWorld.create(7)
      const episodes = new Episodes(world, await world.startAuditor(), seededRandom(seed))
      try {
        await episodes.run()
      } catch (cause) {
        throw new Error(`seed ${seed}: ${episodes.names.join(', ')}`, { cause })
      } finally {
        await world.close()
      }
    }
  }, 60_000)
})
