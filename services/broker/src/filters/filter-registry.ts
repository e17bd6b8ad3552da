import { readdir } from 'node:fs/promises'
import { extname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { reasonOf, type Logger } from '@strata/base'
import type { BrokerSettings } from '../config/settings.ts'
import type { EntryFilter, EntryFilterModule } from './entry-filter.ts'

export interface NamedFilter {
  readonly name: string
  readonly filter: EntryFilter
}

const NONE: readonly NamedFilter[] = []
/** TypeScript where the runtime takes it as it is; else it is compiled first. */
const EXTENSIONS: ReadonlySet<string> = new Set(['.mjs', '.js', '.ts', '.mts'])

/** Names with commas between. */
export function filterNamesOf(text: string): readonly string[] {
  return text
    .split(',')
    .map(name => name.trim())
    .filter(name => name !== '')
}

/** The filters of `entryFiltersDirectory`, one a file, each by the name of its file without the extension. Read at the start. */
export class FilterRegistry {
  readonly #filters: ReadonlyMap<string, NamedFilter>
  /** By their names: dispatch asks for the same ones again and again. */
  readonly #lists = new Map<string, readonly NamedFilter[]>()

  constructor(filters: readonly NamedFilter[]) {
    this.#filters = new Map(filters.map(named => [named.name, named]))
  }

  /**
   * A module that cannot be loaded is logged, and there is no filter of its name.
   * @throws Error for a filter of `entryFilterNames` that there is not: nobody should get what it would have held back
   */
  static async open(
    settings: Pick<BrokerSettings, 'entryFiltersDirectory' | 'entryFilterNames'>,
    logger: Logger
  ): Promise<FilterRegistry> {
    const { entryFiltersDirectory: directory, entryFilterNames } = settings
    const filters: NamedFilter[] = []
    for (const file of directory === '' ? [] : (await readdir(directory)).sort()) {
      const extension = extname(file)
      if (!EXTENSIONS.has(extension) || file.endsWith('.d.ts')) continue
      try {
        filters.push({ name: file.slice(0, -extension.length), filter: await load(join(directory, file)) })
      } catch (error) {
        logger.warn({ event: 'filters.load_failed', file, reason: reasonOf(error) }, 'a filter could not be loaded')
      }
    }
    const registry = new FilterRegistry(filters)
    const missing = filterNamesOf(entryFilterNames).find(name => !registry.has(name))
    if (missing !== undefined) throw new Error(`entryFilterNames: entry filter '${missing}' not found`)
    return registry
  }

  has(name: string): boolean {
    return this.#filters.has(name)
  }

  /** Those that there are, in this order. */
  of(names: string): readonly NamedFilter[] {
    if (names === '') return NONE
    let list = this.#lists.get(names)
    if (list === undefined) {
      list = filterNamesOf(names).flatMap(name => this.#filters.get(name) ?? [])
      this.#lists.set(names, list)
    }
    return list
  }

  close(): void {
    for (const { filter } of this.#filters.values()) filter.close?.()
  }
}

async function load(path: string): Promise<EntryFilter> {
  const loaded = (await import(pathToFileURL(resolve(path)).href)) as Partial<EntryFilterModule>
  if (typeof loaded.createEntryFilter !== 'function') throw new Error('it exports no function createEntryFilter')
  return loaded.createEntryFilter()
}
