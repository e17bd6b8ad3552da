// Starts the compiled runner: `npx tsc -b test` makes it.
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { main } from '../dist/conformance/main.js'

const testFolder = dirname(dirname(fileURLToPath(import.meta.url)))
process.exit(await main(process.argv.slice(2), { testFolder }))
