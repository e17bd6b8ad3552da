// Patches of built files: { file, from, to }, with `file` as seen from the root.
import { readFileSync } from 'node:fs'

const root = new URL('../../', import.meta.url)

/** @throws Error an edit's anchor is not there exactly once */
export function applyEdits(source, edits) {
  let patched = source
  for (const { file, from, to } of edits) {
    const count = patched.split(from).length - 1
    if (count !== 1) throw new Error(`the anchor is there ${count} times in ${file}: ${JSON.stringify(from)}`)
    patched = patched.replace(from, () => to)
  }
  return patched
}

/** Why the mutant cannot be made of what is built now; undefined: it can. */
export function misfitOf({ edits }) {
  try {
    for (const file of new Set(edits.map(edit => edit.file))) {
      const mine = edits.filter(edit => edit.file === file)
      applyEdits(readFileSync(new URL(file, root), 'utf8'), mine)
    }
    return undefined
  } catch (error) {
    return error.message
  }
}
