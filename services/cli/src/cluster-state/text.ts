import { stringify } from 'yaml'
import { FORMAT, SECTIONS, type Section, type Thing } from './document.ts'

/**
 * Writes a document piece by piece: sections in their order, names in order within each, one thing's lines together. The same state is
 * the same text, byte by byte, so two of them can be compared line by line.
 */
export class ClusterText {
  #section = -1

  head(): string {
    return `format: ${FORMAT}\n`
  }

  /** Also of a section with nothing in it: it says that there is nothing. */
  section(section: Section, isEmpty: boolean): string {
    const at = SECTIONS.indexOf(section)
    if (at <= this.#section) throw new Error(`section ${section} comes too late`)
    this.#section = at
    return isEmpty ? `${section}: {}\n` : `${section}:\n`
  }

  thing(name: string, thing: Thing): string {
    const text = stringify({ [name]: thing }, { sortMapEntries: true, lineWidth: 0, aliasDuplicateObjects: false })
    return text.replace(/^(?=.)/gm, '  ')
  }
}
