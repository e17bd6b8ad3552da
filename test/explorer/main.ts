// The command: `npm run explore -- [--world TEXT] [--break RULE] [--workers N] [--nodes N …]`.
import { availableParallelism } from 'node:os'
import { parseArgs } from 'node:util'
import { check, describe } from './check.ts'
import { BROKEN, LARGE_WORLDS, SMALL_WORLDS, type World } from './worlds.ts'

const USAGE = `usage: npm run explore -- [options]

  --world TEXT     the worlds whose names hold TEXT (default: all large ones, unless a world is described)
  --break RULE     break a rule, and tell the way to the promise that does not hold then
  --workers N      threads (default: as many as there are cores)
  a world of one's own; what is left out is as in 'three copies, any one fault':
  --nodes, --ensemble, --write, --ack, --entries, --recoverers,
  --faults, --changes, --crashes, --destroyed, --replaces`

/** Flag to field. */
const NUMBERS = {
  nodes: 'nodes',
  ensemble: 'ensembleSize',
  write: 'writeQuorum',
  ack: 'ackQuorum',
  entries: 'entries',
  recoverers: 'recoverers',
  faults: 'faults',
  changes: 'changes',
  crashes: 'crashes',
  destroyed: 'destroyed',
  replaces: 'replaces'
} as const satisfies Record<string, keyof World>

type Flags = Readonly<Record<string, string | boolean | undefined>>

function parse(argv: readonly string[]): Flags {
  const names = ['world', 'break', 'workers', ...Object.keys(NUMBERS)]
  const options = Object.fromEntries(names.map(name => [name, { type: 'string' as const }]))
  return parseArgs({ args: [...argv], options: { ...options, help: { type: 'boolean' } } }).values
}

/** @throws Error: there is no such world, or rule */
function worldsOf(flags: Flags): [string, World][] {
  const named = { ...SMALL_WORLDS, ...LARGE_WORLDS }
  if (flags['world'] !== undefined) {
    const found = Object.entries(named).filter(([name]) => name.includes(String(flags['world'])))
    if (found.length === 0) throw new Error(`no such world; there are:\n${Object.keys(named).join('\n')}`)
    return found
  }
  const rule = flags['break']
  const broken = BROKEN.find(({ rules }) => String(rule) in rules)
  if (rule !== undefined && broken === undefined) {
    throw new Error(`no such rule; there are: ${BROKEN.flatMap(({ rules }) => Object.keys(rules)).join()}`)
  }
  const given = Object.entries(NUMBERS).flatMap(([flag, field]) =>
    flags[flag] === undefined ? [] : [[field, Number(flags[flag])]]
  )
  if (given.length === 0 && broken === undefined) return Object.entries(LARGE_WORLDS)
  const base = broken?.world ?? SMALL_WORLDS['three copies, any one fault']
  return [['this world', { ...base, ...(Object.fromEntries(given) as Partial<World>) } as World]]
}

/** @param folder Where the model is. @returns The exit code: 0 when every promise is kept, or with --break when one is not. */
export async function main(argv: readonly string[], { folder }: { folder: string }): Promise<number> {
  const flags = parse(argv)
  if (flags['help'] === true) {
    process.stdout.write(`${USAGE}\n`)
    return 0
  }
  const rule = flags['break'] === undefined ? undefined : String(flags['break'])
  const workers = Number(flags['workers'] ?? availableParallelism())
  let code = 0
  for (const [name, world] of worldsOf(flags)) {
    process.stdout.write(`${name}: ${JSON.stringify(world)}\n`)
    const onProgress = (line: string): void => void process.stdout.write(`${line}\n`)
    const breaking = rule === undefined ? {} : { broken: [rule], isTraced: true }
    const result = await check({ folder, world, workers, onProgress, ...breaking })
    if (result.counterexample !== undefined) process.stdout.write(`${result.counterexample}\n`)
    process.stdout.write(`${describe(name, result)}\n`)
    if ((result.counterexample === undefined) !== (rule === undefined)) code = 1
  }
  return code
}
