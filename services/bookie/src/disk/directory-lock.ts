import { open, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { bookieErrors, systemCode } from '../errors.ts'

const LOCK_NAME = 'lock'

/**
 * Takes a directory for this process: a file that names the process by pid and start time, so that one left behind by a
 * crash is told from one that is held, even when the pid was given to somebody else. Returns what gives it back.
 *
 * @throws DIRECTORY_IN_USE {directory, pid}, DIRECTORY_UNWRITABLE {directory, reason}
 */
export async function lockDirectory(directory: string): Promise<() => Promise<void>> {
  const path = join(directory, LOCK_NAME)
  const mine = `${process.pid} ${(await startTime(process.pid)) ?? ''}\n`
  for (let attempt = 0; attempt < 10; attempt++) {
    try {
      const handle = await open(path, 'wx')
      await handle.writeFile(mine)
      await handle.close()
      return async () => {
        await rm(path, { force: true })
      }
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') {
        throw bookieErrors.create('DIRECTORY_UNWRITABLE', { directory, reason: systemCode(error) }, error)
      }
    }
    const pid = await liveHolder(path)
    if (pid !== undefined) throw bookieErrors.create('DIRECTORY_IN_USE', { directory, pid })
    await rm(path, { force: true })
  }
  throw bookieErrors.create('DIRECTORY_IN_USE', { directory, pid: 0 })
}

/** The pid of the process that holds the lock and still runs. */
async function liveHolder(path: string): Promise<number | undefined> {
  const text = await readFile(path, 'utf8').catch(() => '')
  const [pidText = '', recorded = ''] = text.trim().split(' ')
  const pid = Number(pidText)
  if (!Number.isSafeInteger(pid) || pid <= 0 || !isRunning(pid)) return undefined
  const started = await startTime(pid)
  return started === undefined || recorded === '' || started === recorded ? pid : undefined
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return systemCode(error) === 'EPERM'
  }
}

/** When the process began, in a form that means something only to compare; undefined where the system does not tell. */
async function startTime(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  // Field 22; the second one, the name, is in parentheses and may hold spaces.
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')[19]
}
