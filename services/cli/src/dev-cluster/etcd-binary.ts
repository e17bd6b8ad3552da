import { accessSync, constants, statSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { CommandFailure } from '../failure.ts'

const ADVICE =
  'install it (Debian: apt-get install etcd-server; others: https://github.com/etcd-io/etcd/releases), or name it with --etcd-binary or STRATA_ETCD'

/** The etcd to run: the one named, or the first on PATH. @throws CommandFailure, one line that says how to get one */
export function findEtcd(named: string | undefined, path: string = process.env['PATH'] ?? ''): string {
  if (named !== undefined && named !== '') {
    if (isProgram(named)) return named
    throw new CommandFailure(`${named} is no program: name etcd itself with --etcd-binary or STRATA_ETCD`)
  }
  for (const directory of path.split(delimiter)) {
    const file = join(directory, 'etcd')
    if (directory !== '' && isProgram(file)) return file
  }
  throw new CommandFailure(`there is no etcd on PATH: ${ADVICE}`)
}

function isProgram(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return statSync(file).isFile()
  } catch {
    return false
  }
}
