#!/usr/bin/env node
import { existsSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'

const entry = new URL('../dist/main.js', import.meta.url)
if (!existsSync(entry)) {
  process.stderr.write('strata: not built yet; run: npm run build\n')
  process.exit(69)
}
// Message bytes lie outside V8's heap, but make it collect the whole of it: with a heap as small as this one, ten times a second
// under load, and code that is forgotten between collections is never optimized. The factor 5 is near V8's own maximum.
setFlagsFromString('--heap-growing-percent=400')
setFlagsFromString('--no-flush-bytecode')
// A storage node keeps little that is young: what it makes for an add is garbage when the add is answered. In a small space for it, the same
// pages are used again and again, and a collection is short; it does not wait for threads that wait for a core.
if (process.argv[2] === 'bookie') {
  setFlagsFromString('--semi-space-growth-factor=1')
  setFlagsFromString('--no-parallel-scavenge')
}
const { main } = await import(entry.href)
const exitCode = await main(process.argv.slice(2))
// A connection that would not close keeps nobody waiting; what was printed goes out first.
process.stdout.write('', () => process.exit(exitCode))
