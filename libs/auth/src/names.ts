/** A list in a setting: commas between, spaces around them, nothing twice. */
export function namesOf(list: string): string[] {
  const names = list.split(',').map(name => name.trim())
  return [...new Set(names.filter(name => name !== ''))]
}
