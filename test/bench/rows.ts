import { setTimeout as delay } from 'node:timers/promises'
import { clusterRows } from './cluster-rows.ts'
import { ConsumeLoad } from './load/consume.ts'
import { produceLoad } from './load/produce.ts'
import { median, startPerf } from './perf.ts'
import { light, lightRate, MAX_RATE, perfRate, SECONDS, type Row } from './row.ts'
import type { Server } from './servers.ts'

/** What 500 producers need until all of them are there. */
const SLOW_START_SECONDS = 15
export const rows: readonly Row[] = [
  {
    name: 'publish-batched',
    what: 'publish 1 KB, batched, max rate, pulsar-perf',
    against: ['pulsar', 'pulsar-lite'],
    goals: [{ figure: 'rate', unit: 'msg/s', min: 1.8 }],
    measure: server => perfRate(server, ['-r', MAX_RATE, '-s', '1024', 'bench-batched'])
  },
  {
    name: 'publish-batched-light',
    what: 'publish 1 KB, batches of 100, max rate, light load',
    against: ['pulsar', 'pulsar-lite'],
    goals: [{ figure: 'rate', unit: 'msg/s', min: 1.8 }],
    measure: server => lightRate(server, 'bench-batched-light', { batch: 100, window: 100 })
  },
  {
    name: 'publish-unbatched',
    what: 'publish 1 KB, unbatched (-db -o 20000), max rate, pulsar-perf',
    against: ['pulsar', 'pulsar-lite'],
    goals: [{ figure: 'rate', unit: 'msg/s', min: 2 }],
    measure: server => perfRate(server, ['-db', '-o', '20000', '-r', MAX_RATE, '-s', '1024', 'bench-unbatched'])
  },
  {
    name: 'publish-unbatched-light',
    what: 'publish 1 KB, unbatched, max rate, light load',
    against: ['pulsar', 'pulsar-lite'],
    goals: [{ figure: 'rate', unit: 'msg/s', min: 2 }],
    measure: server => lightRate(server, 'bench-unbatched-light', { window: 10_000 })
  },
  {
    name: 'publish-latency',
    what: 'publish 1 KB, unbatched, 2,000 msg/s, pulsar-perf',
    against: ['pulsar'],
    goals: [
      { figure: 'medianMs', unit: 'ms', max: 0.35 },
      { figure: 'p99Ms', unit: 'ms', max: 0.5 }
    ],
    measure: server => perfRate(server, ['-db', '-r', '2000', '-s', '1024', 'bench-latency'])
  },
  {
    name: 'publish-latency-light',
    what: 'publish 1 KB, unbatched, 2,000 msg/s, light load',
    against: ['pulsar'],
    goals: [
      { figure: 'medianMs', unit: 'ms', max: 0.35 },
      { figure: 'p99Ms', unit: 'ms', max: 0.5 }
    ],
    measure: server => lightRate(server, 'bench-latency-light', { rate: 2000 })
  },
  {
    name: 'end-to-end',
    what: 'end to end, 10 topics, 5,000 msg/s of 1 KB, pulsar-perf',
    against: ['pulsar'],
    goals: [{ figure: 'p99Ms', unit: 'ms', max: 0.5 }],
    async measure(server) {
      const consumer = startPerf(server, 'consume', ['-t', '10', '-time', `${SECONDS + 5}`, 'bench-e2e'])
      await delay(4000)
      await perfRate(server, ['-t', '10', '-r', '5000', '-s', '1024', 'bench-e2e'])
      const { medianMs, p99Ms } = await consumer.done
      return { medianMs, p99Ms }
    }
  },
  {
    name: 'catch-up',
    what: 'read a 2 GB backlog of batches, pulsar-perf',
    against: ['pulsar'],
    goals: [{ figure: 'rate', unit: 'msg/s', min: 1.1 }],
    async measure(server) {
      await fillBacklog(server, 'bench-catch-up')
      const from = ['-sp', 'Earliest', '-ss', 'backlog', '-n', '1', '-q', '5000', '-m', `${BACKLOG_MESSAGES}`]
      const { overallRate } = await startPerf(server, 'consume', [...from, '-time', '60', 'bench-catch-up']).done
      return { rate: overallRate }
    }
  },
  {
    name: 'catch-up-light',
    what: 'read a 2 GB backlog of batches, light load',
    against: ['pulsar'],
    goals: [{ figure: 'rate', unit: 'msg/s', min: 1.5 }],
    async measure(server) {
      await fillBacklog(server, 'bench-catch-up-light')
      const load = await ConsumeLoad.open({
        port: server.brokerPort,
        topic: 'persistent://public/default/bench-catch-up-light',
        subscription: 'backlog',
        type: 'Exclusive',
        consumers: 1,
        permits: 20_000,
        earliest: true
      })
      const startedAt = performance.now()
      load.start(20_000)
      while (load.messages < BACKLOG_MESSAGES && performance.now() - startedAt < 60_000) {
        load.check()
        await delay(5)
      }
      const rate = (load.messages * 1000) / (performance.now() - startedAt)
      load.close()
      return { rate }
    }
  },
  {
    name: 'key-shared',
    what: '500 producers, 20 Key_Shared consumers, random keys, 128 B unbatched, max rate, pulsar-perf',
    against: ['pulsar'],
    goals: [{ figure: 'delivered', unit: 'msg/s', min: 2 }],
    async measure(server) {
      const seconds = SECONDS + SLOW_START_SECONDS
      const consume = ['-st', 'Key_Shared', '-n', '20', '-ss', 'keys', '-time', `${seconds + 5}`, 'bench-keys']
      const consumer = startPerf(server, 'consume', consume)
      await delay(4000)
      const produce = [
        '-time',
        `${seconds}`,
        '-n',
        '500',
        '-mk',
        'random',
        '-db',
        '-r',
        MAX_RATE,
        '-s',
        '128',
        'bench-keys'
      ]
      const produced = await startPerf(server, 'produce', produce).done
      const delivered = median((await consumer.done).rates)
      return { delivered, accepted: median(produced.rates) }
    }
  },
  {
    name: 'start',
    what: 'start to healthy and first message acknowledged; resident memory idle',
    against: ['pulsar'],
    goals: [
      { figure: 'startMs', unit: 'ms', max: 0.1 },
      { figure: 'idleMB', unit: 'MB', max: 0.05 }
    ],
    async measure(server) {
      const askedAt = performance.now()
      await firstReceipt(server)
      const startMs = server.readyMs + performance.now() - askedAt
      await delay(5000)
      return { startMs, idleMB: server.residentBytes() / 1024 / 1024 }
    }
  },
  {
    name: 'cpu',
    what: 'CPU seconds of the server per million 1 KB messages, 20,000 msg/s batched, consumed once, pulsar-perf',
    against: ['pulsar'],
    goals: [{ figure: 'cpuSeconds', unit: 's', max: 0.35 }],
    async measure(server) {
      const consumer = startPerf(server, 'consume', ['-time', `${SECONDS + 5}`, 'bench-cpu'])
      await delay(4000)
      const producer = startPerf(server, 'produce', ['-time', `${SECONDS}`, '-r', '20000', '-s', '1024', 'bench-cpu'])
      await delay(10_000)
      const before = { cpu: server.cpuSeconds(), at: performance.now() }
      await delay((SECONDS - 14) * 1000)
      const used = server.cpuSeconds() - before.cpu
      const seconds = (performance.now() - before.at) / 1000
      const rate = median((await producer.done).rates)
      await consumer.done
      return { cpuSeconds: (used / (rate * seconds)) * 1_000_000, rate }
    }
  },
  ...clusterRows
]

const BACKLOG_MESSAGES = 2_000_000

async function fillBacklog(server: Server, topic: string): Promise<void> {
  const subscriber = await ConsumeLoad.open({
    port: server.brokerPort,
    topic: `persistent://public/default/${topic}`,
    subscription: 'backlog',
    type: 'Exclusive',
    consumers: 1,
    permits: 1,
    earliest: true
  })
  subscriber.close()
  await produceLoad(
    light(server, topic, { batch: 100, window: 50, warmUpSeconds: 0, seconds: 120, messagesMax: BACKLOG_MESSAGES })
  )
}

async function firstReceipt(server: Server): Promise<void> {
  const deadline = performance.now() + 60_000
  for (;;) {
    const done = await produceLoad(
      light(server, 'bench-start', { warmUpSeconds: 0, seconds: 5, messagesMax: 1 })
    ).catch(() => undefined)
    if (done !== undefined && done.messages > 0) return
    if (performance.now() > deadline) throw new Error('no message was acknowledged')
    await delay(20)
  }
}
