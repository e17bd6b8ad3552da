import { describeIndexStore, type IndexStoreUnderTest } from '@strata/bookie/testing'
import { Random, Scheduler, SimDisk, SimIndexStore, SimVolume } from '@strata/sim'

type IndexStore = IndexStoreUnderTest['store']

/** Runs what waits for virtual time, until it is there. */
function within<Result>(scheduler: Scheduler, asked: Promise<Result>): Promise<Result> {
  let isDone = false
  const done = asked.finally(() => {
    isDone = true
  })
  return scheduler.run(() => isDone, Infinity).then(() => done)
}

/** The store on the volume, whose answers come as if time passed by itself. */
async function open(scheduler: Scheduler, volume: SimVolume, isNew: boolean): Promise<IndexStore> {
  const disk = new SimDisk(volume, scheduler.createProcess('node'))
  const store = await within(scheduler, SimIndexStore.open(disk, { isNew }))
  return {
    get: key => within(scheduler, store.get(key)),
    getSync: key => store.getSync(key),
    getMany: keys => within(scheduler, store.getMany(keys)),
    write: (changes, options) => within(scheduler, store.write(changes, options)),
    scan: options => within(scheduler, store.scan(options)),
    close: () => store.close()
  }
}

describeIndexStore('the simulated store', async () => {
  const scheduler = new Scheduler()
  const volume = new SimVolume(new Random(1))
  return {
    store: await open(scheduler, volume, true),
    crash: random => {
      volume.index.crash(new Random(Math.floor(random() * 1e9)))
      return open(scheduler, volume, false)
    },
    dispose: () => Promise.resolve()
  }
})
