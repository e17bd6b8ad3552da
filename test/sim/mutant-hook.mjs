// A loader hook that patches built files as they are loaded; every patch must fit exactly once.
let edits = []

export function initialize(data) {
  edits = data.edits
}

export async function load(url, context, next) {
  const mine = edits.filter(({ file }) => url.endsWith(`/${file}`))
  const loaded = await next(url, context)
  if (mine.length === 0) return loaded
  let source = String(loaded.source)
  for (const { file, from, to } of mine) {
    const count = source.split(from).length - 1
    if (count !== 1) throw new Error(`a patch fits ${count} times in ${file}: ${from}`)
    source = source.replace(from, () => to)
  }
  return { ...loaded, source }
}
