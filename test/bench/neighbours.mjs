import { main, noise } from '../dist/bench/neighbours.js'

// whoever ends the run early ends what it started: servers are ended when this process exits
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(130))
const args = process.argv.slice(2)
process.exitCode = args[0] === '--noise' ? await noise(args[1] ?? '', JSON.parse(args[2] ?? '{}')) : await main(args)
