// Imported by a process that is measured (node --expose-gc --import …): at SIGUSR2 it collects all that it can and tells what is left.
import { setTimeout as delay } from 'node:timers/promises'

const ROUNDS = 4
let told = 0

process.on('SIGUSR2', async () => {
  for (let round = 0; round < ROUNDS; round++) {
    globalThis.gc()
    await delay(100) // weak references and finalizers have their turn
  }
  const { rss, heapUsed, external } = process.memoryUsage()
  const line = { event: 'memory.collected', number: ++told, rss, heapUsed, external, held: heapUsed + external }
  process.stderr.write(`${JSON.stringify(line)}\n`)
})
