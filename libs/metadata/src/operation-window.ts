/** Ten minutes of a busy standalone; about 2 MB. */
export const OPERATIONS_MAX = 16_384

/**
 * Remembers which named transactions were applied, and under which revision: the newest `countMax` of them (M5). A
 * caller that asks again after that many others is told anew, so the window is far larger than any retry lasts.
 */
export class OperationWindow {
  readonly #countMax: number
  readonly #revisions = new Map<string, number>()

  constructor(countMax: number) {
    this.#countMax = countMax
  }

  revisionOf(operationId: string | undefined): number | undefined {
    return operationId === undefined ? undefined : this.#revisions.get(operationId)
  }

  /** In the order of revisions. Returns what is forgotten in exchange. */
  remember(operationId: string, revision: number): string[] {
    this.#revisions.set(operationId, revision)
    const forgotten: string[] = []
    for (const oldest of this.#revisions.keys()) {
      if (this.#revisions.size <= this.#countMax) break
      this.#revisions.delete(oldest)
      forgotten.push(oldest)
    }
    return forgotten
  }
}
