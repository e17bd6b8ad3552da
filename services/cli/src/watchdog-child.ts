/**
 * The process of `Watchdog`: hears a byte from its parent now and then, and ends it when none comes for too long.
 * `node watchdog-child.js PID LIMIT_MS`; it ends when its standard input does.
 */
const [pid, limitMs] = process.argv.slice(2).map(Number)
if (pid === undefined || limitMs === undefined) throw new Error('usage: watchdog-child PID LIMIT_MS')

const LOOK_MS = 250
/** Later than this by its own timer: it did not run itself, and so knows nothing of its parent. */
const LATE_MS = 1_000

let heardMs = performance.now()
let lookedMs = heardMs

process.stdin.on('data', () => {
  heardMs = performance.now()
})
process.stdin.on('end', () => process.exit(0))
// Ctrl-C of a terminal reaches this process too: its parent drains, and decides when it is over
process.on('SIGINT', () => undefined)

setInterval(() => {
  const nowMs = performance.now()
  if (nowMs - lookedMs > LOOK_MS + LATE_MS) heardMs = nowMs
  lookedMs = nowMs
  if (nowMs - heardMs < limitMs) return
  const event = { level: 50, event: 'watchdog.killed', pid, silentMs: Math.round(nowMs - heardMs) }
  process.stderr.write(
    `${JSON.stringify({ ...event, msg: 'the process stood still and is ended: its topics are served elsewhere' })}\n`
  )
  process.kill(pid, 'SIGKILL')
  process.exit(1)
}, LOOK_MS)
