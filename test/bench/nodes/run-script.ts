import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ROOT } from '../../tidy/repository.ts'

const OUTPUT_BYTES_MAX = 64 << 20

/** A measuring program of a package, in a process of its own: the one line that it prints. @param script From the repository's root. */
export async function runScript<Figures>(script: string, args: readonly (string | number)[]): Promise<Figures> {
  const command = [join(ROOT, script), ...args.map(String)]
  const { stdout } = await promisify(execFile)(process.execPath, command, { maxBuffer: OUTPUT_BYTES_MAX })
  return JSON.parse(stdout) as Figures
}

export interface BareStream {
  /** Payloads a second. */
  readonly rate: number
  readonly clientCpuUs: number
  readonly serverCpuUs: number
}

export function bareStream(seconds: number, payloadBytes: number): Promise<BareStream> {
  return runScript('libs/ledger-client/bench/bare-stream.mjs', [seconds, payloadBytes])
}

/** Without a node, on the disk of a directory, in the ways in which a node uses it. */
export class BareDisk {
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
  }

  /** Bytes a second of writes of `blockBytes`, each synced. */
  async writeRate(seconds: number, blockBytes: number): Promise<number> {
    return (await this.#run<{ bytesPerSecond: number }>('write', seconds, Math.round(blockBytes))).bytesPerSecond
  }

  /** Milliseconds of each write of 4 KB with its sync, `rate` a second. */
  async syncTimes(seconds: number, rate: number): Promise<number[]> {
    return (await this.#run<{ takenMs: number[] }>('sync', seconds, rate)).takenMs
  }

  /** Bytes a second from one file to another, each block synced. */
  async copyRate(bytes: number, blockBytes: number): Promise<number> {
    return (await this.#run<{ bytesPerSecond: number }>('copy', bytes, blockBytes)).bytesPerSecond
  }

  #run<Figures>(what: string, first: number, second: number): Promise<Figures> {
    return runScript('services/bookie/bench/disk.mjs', [what, this.#directory, first, second])
  }
}
