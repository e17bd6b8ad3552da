#!/usr/bin/env node
import { existsSync } from 'node:fs'

const entry = new URL('../dist/main.js', import.meta.url)
if (!existsSync(entry)) {
  process.stderr.write('strata: not built yet; run: npm run build\n')
  process.exit(69)
}
const { main } = await import(entry.href)
const exitCode = await main(process.argv.slice(2))
// A connection that would not close keeps nobody waiting; what was printed goes out first.
process.stdout.write('', () => process.exit(exitCode))
