// Given to a server with `--import`: it sees another wall clock, and finds peers at other ports. What it is told lies in a directory,
// named in the query of this module's address: `clock-offset-ms`, looked at all the time, and `routes.json`, read once.
import { readFileSync } from 'node:fs'
import { Socket } from 'node:net'
import { join } from 'node:path'

const LOOK_MS = 50

const directory = new URL(import.meta.url).searchParams.get('directory') ?? ''
const read = (name, otherwise) => {
  try {
    return readFileSync(join(directory, name), 'utf8')
  } catch {
    return otherwise
  }
}

const RealDate = Date
let offsetMs = 0
const look = () => {
  offsetMs = Number(read('clock-offset-ms', '0'))
}
look()
setInterval(look, LOOK_MS).unref()

/** Steps like the clock of a machine: timers and monotonic time know nothing of it. */
globalThis.Date = class Date extends RealDate {
  constructor(...parts) {
    if (parts.length === 0) super(RealDate.now() + offsetMs)
    else super(...parts)
  }

  static now() {
    return RealDate.now() + offsetMs
  }
}

/** Port by port, of the loopback. */
const routes = JSON.parse(read('routes.json', '{}'))
const connect = Socket.prototype.connect
Socket.prototype.connect = function (...args) {
  // either what `net.connect` made of its arguments, in an array of its own, or those arguments
  const at = Array.isArray(args[0]) ? args[0] : args
  const port = routes[at[0]?.port]
  if (port !== undefined) at[0] = { ...at[0], port }
  return connect.apply(this, args)
}
