// Starts the compiled lives.
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

const testFolder = dirname(dirname(dirname(fileURLToPath(import.meta.url))))
const entry = new URL('../../dist/conformance/life/main.js', import.meta.url)
if (!existsSync(entry)) {
  process.stderr.write('conformance: not built yet; run: npx tsc -b test\n')
  process.exit(69)
}
// whoever ends the run early ends what it started: servers are ended when this process exits
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(130))
const { main } = await import(entry.href)
process.exit(await main(process.argv.slice(2), { testFolder }))
