import { main } from '../dist/bench/tenants.js'

// whoever ends the run early ends what it started: servers are ended when this process exits
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(130))
process.exitCode = await main(process.argv.slice(2))
