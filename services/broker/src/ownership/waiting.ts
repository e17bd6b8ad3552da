import type { LocateAnswer } from './events.ts'
import { LOCATE_MS_MAX } from './contract.ts'
import type { LocalBundle, Waiter } from './local-bundle.ts'
import type { MachineContext } from './machine-context.ts'

/** Questions that are held until their bundle has an owner. Each is answered once, within `LOCATE_MS_MAX`. */
export class Waiting {
  readonly #context: MachineContext
  #count = 0

  constructor(context: MachineContext) {
    this.#context = context
  }

  get count(): number {
    return this.#count
  }

  add(local: LocalBundle, question: { id: number; take: boolean }): void {
    local.waiters.push({ ...question, untilMs: this.#context.nowMs + LOCATE_MS_MAX })
    this.#count++
  }

  answerAll(local: LocalBundle, answer: LocateAnswer): void {
    this.#answer(local, { answer, isMeant: () => true })
  }

  /** Refuses those who waited too long, and sees to it that the others are looked at in time. */
  expire(local: LocalBundle): void {
    const { nowMs } = this.#context
    const answer = { kind: 'refused', reason: 'the bundle has no owner yet' } as const
    this.#answer(local, { answer, isMeant: ({ untilMs }) => untilMs <= nowMs })
    const first = local.waiters[0]
    if (first !== undefined) this.#context.wakeBefore(local.key, first.untilMs)
  }

  #answer(local: LocalBundle, options: { answer: LocateAnswer; isMeant: (waiter: Waiter) => boolean }): void {
    const { answer, isMeant } = options
    const meant = local.waiters.filter(isMeant)
    if (meant.length === 0) return
    local.waiters = local.waiters.filter(waiter => !isMeant(waiter))
    this.#count -= meant.length
    for (const { id } of meant) this.#context.emit({ kind: 'located', id, answer })
  }
}
