import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { bookieErrors, lockDirectory } from '@strata/bookie'
import { Control, knownPorts } from './dev-cluster/control.ts'
import { findEtcd } from './dev-cluster/etcd-binary.ts'
import { Keeper } from './dev-cluster/keeper.ts'
import type { Member, Ending } from './dev-cluster/member.ts'
import { Members } from './dev-cluster/members.ts'
import { planCluster, type ClusterPlan } from './dev-cluster/plan.ts'
import { CommandFailure } from './failure.ts'
import { note, printJson, printLine, printTable } from './output.ts'
import { stopRequest } from './stop-request.ts'

export interface DevClusterFlags {
  readonly brokers: number
  readonly bookies: number
  readonly etcd: number
  readonly data: string
  readonly basePort?: number
  readonly etcdBinary?: string
  readonly bookieSet: readonly string[]
  readonly brokerSet: readonly string[]
  readonly json?: boolean
}

/** A whole cluster as processes of this machine, until Ctrl-C. */
export async function runDevCluster(flags: DevClusterFlags): Promise<void> {
  const data = resolve(flags.data)
  const etcdBinary = findEtcd(flags.etcdBinary)
  await mkdir(join(data, 'logs'), { recursive: true })
  const unlock = await lockData(data)
  try {
    const plan = await planCluster(
      {
        ...{ data, etcd: flags.etcd, bookies: flags.bookies, brokers: flags.brokers, basePort: flags.basePort },
        ...{ etcdBinary, strata: strataCommand(), bookieSet: flags.bookieSet, brokerSet: flags.brokerSet }
      },
      knownPorts(data)
    )
    await run(plan, flags.json === true)
  } finally {
    await unlock()
  }
}

async function run(plan: ClusterPlan, json: boolean): Promise<void> {
  const keeper = new Keeper()
  const members = new Members(plan, { keeper, onEnded: ending => tellEnding(ending, json) })
  // a second Ctrl-C ends this process at once, and with it all of them
  const onExit = (): void => members.killAll()
  process.on('exit', onExit)
  const stopped = stopRequest()
  let control: Control | undefined
  try {
    const isStopped = await Promise.race([members.start().then(() => false), stopped.then(() => true)])
    if (!isStopped) {
      control = await Control.open(members)
      await tellReady(members, json)
      await stopped
    }
    if (!json) note('stopping: brokers, then storage nodes, then etcd')
  } finally {
    control?.close()
    await members.stop()
    keeper.close()
    process.off('exit', onExit)
  }
}

/** This very program: the script that was run, with node's own flags. */
function strataCommand(): readonly string[] {
  const script = process.argv[1]
  if (script === undefined) throw new Error('a script is run')
  return [process.execPath, ...process.execArgv, script]
}

async function lockData(data: string): Promise<() => Promise<void>> {
  try {
    return await lockDirectory(data)
  } catch (error) {
    if (!bookieErrors.is(error, 'DIRECTORY_IN_USE')) throw error
    const line = `${data} is in use by process ${String(error.details['pid'])}: stop it, or choose another with --data`
    throw new CommandFailure(line, { cause: error })
  }
}

function tellEnding({ name, pid, how, log }: Ending, json: boolean): void {
  if (json) void printJson({ event: 'ended', name, pid, how, log })
  else note(`${name} (process ${pid}) ${how}, and is not started again: see ${log}`)
}

async function tellReady({ plan, all }: Members, json: boolean): Promise<void> {
  const rows = all.map(member => ({ ...addressesOf(member), pid: member.pid ?? 0, log: member.plan.log }))
  if (json) {
    await printJson({ event: 'ready', pid: process.pid, data: plan.data, metadataUrl: plan.metadataUrl, members: rows })
    return
  }
  printTable(
    ['name', 'process', 'address', 'http'],
    rows.map(({ name, pid, address, http }) => [name, pid, address, http])
  )
  const brokers = rows.filter(({ kind }) => kind === 'broker')
  const hosts = brokers.map(({ address }) => address.replace('pulsar://', '')).join(',')
  const lines = [
    '',
    ...(brokers.length === 0 ? [] : [`clients     pulsar://${hosts}`]),
    `metadata    ${plan.metadataUrl}`,
    `data, logs  ${plan.data}`,
    'stop        Ctrl-C (twice: at once)'
  ]
  for (const line of lines) await printLine(line)
}

function addressesOf({ plan, ready }: Member): {
  name: string
  kind: string
  id: string
  address: string
  http: string
} {
  const { name, kind, port, secondPort } = plan
  const http = kind === 'etcd' ? '' : `http://127.0.0.1:${secondPort}`
  const scheme = kind === 'etcd' ? 'http://' : kind === 'broker' ? 'pulsar://' : ''
  const id = kind === 'bookie' ? String(ready['bookieId']) : name
  return { name, kind, id, address: `${scheme}127.0.0.1:${port}`, http }
}
