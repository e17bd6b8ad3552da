/**
 * The results of `run` in the order of `items`, of which so many run at once; results that are ready wait for those before
 * them, as many as run at once. The first failure ends it, after what runs has ended.
 */
export async function* inOrder<Item, Result>(
  items: Iterable<Item>,
  atOnceMax: number,
  run: (item: Item) => Promise<Result>
): AsyncGenerator<Result> {
  const running: Promise<Result>[] = []
  try {
    for (const item of items) {
      const started = run(item)
      // it is awaited in its turn; until then its failure is nobody's
      started.catch(() => undefined)
      running.push(started)
      if (running.length < atOnceMax) continue
      const first = running.shift()
      if (first !== undefined) yield await first
    }
    for (let first = running.shift(); first !== undefined; first = running.shift()) yield await first
  } finally {
    await Promise.allSettled(running)
  }
}

/** All results, in the order of `items`. */
export async function allInOrder<Item, Result>(
  items: Iterable<Item>,
  atOnceMax: number,
  run: (item: Item) => Promise<Result>
): Promise<Result[]> {
  const results: Result[] = []
  for await (const result of inOrder(items, atOnceMax, run)) results.push(result)
  return results
}
