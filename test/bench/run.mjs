import { main } from '../dist/bench/main.js'

process.exitCode = await main(process.argv.slice(2))
