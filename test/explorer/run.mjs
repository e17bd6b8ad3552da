// Starts the compiled explorer: npm run explore -- --help
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

const entry = new URL('../dist/explorer/main.js', import.meta.url)
if (!existsSync(entry)) {
  process.stderr.write('explore: not built yet; run: npm run build\n')
  process.exit(69)
}
const { main } = await import(entry.href)
process.exitCode = await main(process.argv.slice(2), { folder: dirname(fileURLToPath(import.meta.url)) })
