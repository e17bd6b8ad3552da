import { setFlagsFromString } from 'node:v8'
import { main } from '../dist/bench/main.js'

// Rows of storage nodes write from this process, as a broker does from its own: under the limits of V8 that `strata` sets (services/cli/bin).
// With those of Node, a writer that is not the first of its process costs three times the CPU, most of it collecting.
setFlagsFromString('--heap-growing-percent=400')
setFlagsFromString('--no-flush-bytecode')
// whoever ends the run early ends what it started: servers are ended when this process exits
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(130))
process.exitCode = await main(process.argv.slice(2))
