import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

/**
 * The process of `Keeper`: hears of processes (`+ TURN PID` started, `- 0 PID` ended), and stops those that are left when its
 * standard input ends, turn after turn. It writes `up` once signals do not end it any more.
 */
const LOOK_MS = 100
/** Brokers drain before they end. */
const STOP_MS_MAX = 90_000

const turns = new Map<number, number>()

createInterface({ input: process.stdin })
  .on('line', line => {
    const [what, turn, pid] = line.split(' ')
    if (what === '+') turns.set(Number(pid), Number(turn))
    else turns.delete(Number(pid))
  })
  .once('close', () => {
    stopAll().then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(`strata: ${String(error)}\n`)
        process.exit(1)
      }
    )
  })
// of a terminal, or of whoever ends everything: the command decides when it is over
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)
process.stdout.write('up\n')

async function stopAll(): Promise<void> {
  for (const turn of [...new Set(turns.values())].sort((a, b) => a - b)) {
    const pids = [...turns].filter(([, own]) => own === turn).map(([pid]) => pid)
    for (const pid of pids) signalTo(pid, 'SIGTERM')
    const deadlineMs = performance.now() + STOP_MS_MAX
    while (pids.some(isRunning) && performance.now() < deadlineMs) {
      await new Promise(resolve => setTimeout(resolve, LOOK_MS))
    }
    for (const pid of pids.filter(isRunning)) signalTo(pid, 'SIGKILL')
  }
}

function signalTo(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // it is gone
  }
}

/** One that ended and that nobody asks for its exit code does not run any more. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return !stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z')
  } catch {
    return true // no Linux: what can be signalled counts
  }
}
