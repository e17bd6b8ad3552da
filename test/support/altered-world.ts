import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { ROOT } from '../tidy/repository.ts'

const PRELOADED = join(ROOT, 'test', 'support', 'altered-world.mjs')

/**
 * What one machine's processes see of the world: a wall clock that steps, and other ways to some ports of the loopback. Real processes,
 * and no rights that a test lacks. It outlives them: a process that is started again sees the clock as it stood.
 */
export class AlteredWorld {
  readonly #directory: string

  /** @param options.routes  From each port to the one that connections to it go to instead. */
  constructor(options: { directory: string; routes?: ReadonlyMap<number, number> }) {
    this.#directory = options.directory
    mkdirSync(options.directory, { recursive: true })
    this.#put('routes.json', JSON.stringify(Object.fromEntries(options.routes ?? [])))
  }

  /** For the node that runs the process. */
  get nodeArguments(): readonly string[] {
    const url = pathToFileURL(PRELOADED)
    url.searchParams.set('directory', this.#directory)
    return ['--import', url.href]
  }

  /** From now on (within 100 ms) `Date` is so far from the true time. Monotonic time and timers go on as they did. */
  setClock(offsetMs: number): void {
    this.#put('clock-offset-ms', String(offsetMs))
  }

  /** All or nothing, for whoever reads at this moment. */
  #put(name: string, text: string): void {
    const path = join(this.#directory, name)
    writeFileSync(`${path}.new`, text)
    renameSync(`${path}.new`, path)
  }
}
