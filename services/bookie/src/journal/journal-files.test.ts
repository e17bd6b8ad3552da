import { strict as assert } from 'node:assert'
import { setImmediate as turn } from 'node:timers/promises'
import { silentLogger } from '@strata/base'
import { ManualClock } from '@strata/base/testing'
import { test } from 'vitest'
import type { DiskFile } from '../disk/disk.ts'
import { fileName } from '../format/file-header.ts'
import { RecordingDisk } from '../testing/recording-disk.ts'
import { JournalFiles } from './journal-files.ts'

/** Files of these names get no byte until they are let go. */
class HeldDisk extends RecordingDisk {
  readonly #held: string
  #release: () => void = () => undefined
  readonly #released = new Promise<void>(resolve => (this.#release = resolve))
  isHolding = false

  constructor(held: string) {
    super()
    this.#held = held
  }

  release(): void {
    this.#release()
  }

  override async open(...args: Parameters<RecordingDisk['open']>): Promise<DiskFile> {
    const file = await super.open(...args)
    if (!args[0].endsWith(this.#held)) return file
    const write = file.write.bind(file)
    file.write = async (from, offset) => {
      this.isHolding = true
      await this.#released
      await write(from, offset)
    }
    return file
  }
}

test('a file that is being prepared when the journal fails does not take its turn behind the one after the failure', async () => {
  const disk = new HeldDisk('0000000002.spare')
  const clock = new ManualClock()
  const used: number[] = []
  let next = 1
  const files = new JournalFiles({
    ...{ disk, lane: disk.openLane(), directory: '/journal', volumeId: 'volume', fileBytes: 64 * 1024 },
    ...{ nextNumber: () => next++, clock, log: silentLogger, spares: [] },
    onActive: ({ number }) => used.push(number),
    onGone: () => undefined
  })
  await files.start(undefined)
  while (!disk.isHolding) await turn()
  const afresh = files.startAfresh()
  disk.release()
  await afresh
  // until the next one is there, which time must pass for
  while (used.length < 4) {
    clock.advance(100)
    await turn()
    files.roll()
  }
  assert.deepEqual(
    used,
    used.toSorted((a, b) => a - b),
    'a restart reads files by their numbers'
  )
  assert.equal(used.includes(2), false)
  await files.close()
})

test('behind a failure, what nothing was ever written to is gone before another file is written to, and what has records stays', async () => {
  const disk = new RecordingDisk()
  const gone: number[] = []
  let next = 1
  const files = new JournalFiles({
    ...{ disk, lane: disk.openLane(), directory: '/journal', volumeId: 'volume', fileBytes: 64 * 1024 },
    ...{ nextNumber: () => next++, clock: new ManualClock(), log: silentLogger, spares: [] },
    onActive: () => undefined,
    onGone: ({ number }) => gone.push(number)
  })
  const isThere = (number: number): boolean => disk.paths.includes(`/journal/${fileName('journal', number)}`)
  await files.start(undefined)
  const first = files.active
  first.syncedEnd = first.position += 4_096
  await files.startAfresh()
  assert.ok(isThere(first.number))
  const second = files.active
  await files.startAfresh()
  assert.deepEqual(gone, [second.number])
  assert.deepEqual(
    [first, second, files.active].map(({ number }) => isThere(number)),
    [true, false, true]
  )
  await files.close()
})
