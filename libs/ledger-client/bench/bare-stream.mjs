// What gRPC alone carries: `node libs/ledger-client/bench/bare-stream.mjs [seconds] [payload bytes] [warm-up seconds]`.
// One bidirectional stream to a server in a process of its own, payloads put together as adds to a node are (those of a turn of the
// event loop, in messages of about 1 MB, at most a node's window unanswered, and HTTP/2's windows as wide). After a build. The server stores nothing and answers each
// message with a count. Prints one line of JSON; CPU is in microseconds a payload.
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Client, credentials, Server, ServerCredentials } from '@grpc/grpc-js'
import { widenWindows } from '../dist/grpc/server-window.js'

const SERVE = '--serve'
const PATH = '/strata.bench.Bare/Stream'
const MESSAGE_BYTES_MAX = 64 * 1024 * 1024
const BATCH_BYTES_MAX = 1024 * 1024
const WINDOW_BYTES = 16 * 1024 * 1024
const OPTIONS = {
  'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
  'grpc.max_send_message_length': MESSAGE_BYTES_MAX
}
const same = message => message

async function serve() {
  const server = new Server(OPTIONS)
  const method = {
    ...{ path: PATH, requestStream: true, responseStream: true },
    ...{ requestSerialize: same, requestDeserialize: same, responseSerialize: same, responseDeserialize: same }
  }
  const stream = call => {
    let bytes = 0
    call.on('data', message => {
      bytes += message.length
      const answer = Buffer.allocUnsafe(8)
      answer.writeDoubleLE(bytes)
      call.write(answer)
    })
    call.on('end', () => call.end())
    call.on('error', () => undefined)
  }
  server.addService({ stream: method }, { stream })
  const port = await new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
      if (error === null) resolve(bound)
      else reject(error)
    })
  })
  widenWindows(server, WINDOW_BYTES)
  process.on('message', () => process.send({ cpu: process.cpuUsage() }))
  process.once('disconnect', () => process.exit())
  process.send({ port })
}

async function measure([seconds = 10, payloadBytes = 1024, warmUpSeconds = 3]) {
  const child = fork(fileURLToPath(import.meta.url), [SERVE], { execArgv: [] })
  const asked = async () => {
    const answer = once(child, 'message')
    child.send({})
    const [{ cpu }] = await answer
    return { ...totals, atMs: performance.now(), server: cpu.user + cpu.system, client: ownCpu() }
  }
  const [{ port }] = await once(child, 'message')
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), OPTIONS)
  const stream = client.makeBidiStreamRequest(PATH, same, same)
  const payload = Buffer.alloc(payloadBytes, 7)
  const batch = new Array(Math.ceil(BATCH_BYTES_MAX / payloadBytes)).fill(payload)
  const totals = { sent: 0, answered: 0 }
  let isDue = false
  const fill = () => {
    isDue = false
    for (;;) {
      const room = Math.floor((WINDOW_BYTES - (totals.sent - totals.answered)) / payloadBytes)
      if (room <= 0) return
      const payloads = room >= batch.length ? batch : batch.slice(0, room)
      totals.sent += payloads.length * payloadBytes
      stream.write(Buffer.concat(payloads))
    }
  }
  stream.on('error', error => {
    if (!stream.destroyed) throw error
  })
  stream.on('data', answer => {
    totals.answered = answer.readDoubleLE(0)
    if (isDue) return
    isDue = true
    setImmediate(fill)
  })
  fill()
  await new Promise(resolve => setTimeout(resolve, warmUpSeconds * 1000))
  const from = await asked()
  await new Promise(resolve => setTimeout(resolve, seconds * 1000))
  const to = await asked()
  const payloads = (to.answered - from.answered) / payloadBytes
  const figures = {
    rate: (payloads * 1000) / (to.atMs - from.atMs),
    clientCpuUs: (to.client - from.client) / payloads,
    serverCpuUs: (to.server - from.server) / payloads
  }
  process.stdout.write(`${JSON.stringify(figures)}\n`)
  child.disconnect()
  process.exit()
}

function ownCpu() {
  const { user, system } = process.cpuUsage()
  return user + system
}

await (process.argv[2] === SERVE ? serve() : measure(process.argv.slice(2).map(Number)))
