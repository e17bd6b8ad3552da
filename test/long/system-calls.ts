import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'

/** One system call that succeeded, by when it began and when it was done: positions in the order in which strace saw them. */
export interface SystemCall {
  readonly name: string
  /** As strace prints them, descriptors with their paths. */
  readonly arguments: string
  readonly result: number
  readonly begun: number
  readonly done: number
}

const WHOLE = /^(\d+) +(\w+)\(/
const RESUMED = /^(\d+) +<\.\.\. (\w+) resumed>/
const RESULT = /\) += (-?\d+)[^=]*$/
const UNFINISHED = ' <unfinished ...>'

/** The calls of `strace -f -y -o path`, each when it is done. Lines may be megabytes long: they are read one at a time. */
export async function* readTrace(path: string): AsyncGenerator<SystemCall> {
  const open = new Map<string, { name: string; text: string; begun: number }>()
  let line = 0
  for await (const text of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
    line++
    const resumed = RESUMED.exec(text)
    if (resumed !== null) {
      const before = open.get(resumed[1] as string)
      open.delete(resumed[1] as string)
      if (before === undefined) continue
      const call = callOf(before.name, before.text + text.slice(resumed[0].length), before.begun, line)
      if (call !== undefined) yield call
      continue
    }
    const whole = WHOLE.exec(text)
    if (whole === null) continue
    const [prefix, pid, name] = whole as unknown as [string, string, string]
    const rest = text.slice(prefix.length)
    if (rest.endsWith(UNFINISHED)) {
      open.set(pid, { name, text: rest.slice(0, -UNFINISHED.length), begun: line })
      continue
    }
    const call = callOf(name, rest, line, line)
    if (call !== undefined) yield call
  }
}

function callOf(name: string, text: string, begun: number, done: number): SystemCall | undefined {
  const tail = text.slice(-200)
  const match = RESULT.exec(tail)
  if (match === null || Number(match[1]) < 0) return undefined
  const end = text.length - (tail.length - match.index)
  return { name, arguments: text.slice(0, end), result: Number(match[1]), begun, done }
}

/** The path of a call's first descriptor. */
export function pathOf(call: SystemCall): string {
  return /^\d+<([^>]*)>/.exec(call.arguments)?.[1] ?? ''
}

const ESCAPES: Readonly<Record<string, number>> = { n: 10, t: 9, r: 13, v: 11, f: 12, '"': 34, '\\': 92 }

/** The bytes of all strings of a call's arguments, one after the other, as far as the call wrote them. */
export function bytesOf(call: SystemCall): Buffer {
  const bytes: number[] = []
  for (const [, text = ''] of call.arguments.matchAll(/"((?:[^"\\]|\\.)*)"/g)) {
    for (let at = 0; at < text.length; at++) {
      if (text[at] !== '\\') {
        bytes.push(text.charCodeAt(at))
        continue
      }
      const octal = /^[0-7]{1,3}/.exec(text.slice(at + 1, at + 4))?.[0]
      bytes.push(octal === undefined ? (ESCAPES[text[at + 1] as string] ?? 63) : parseInt(octal, 8))
      at += octal?.length ?? 1
    }
  }
  return Buffer.from(bytes.slice(0, call.result))
}

/** Syncs of files and directories, asked by path. */
export class Syncs {
  readonly #byPath = new Map<string, { begun: number; done: number }[]>()

  add(path: string, sync: { begun: number; done: number }): void {
    const syncs = this.#byPath.get(path)
    if (syncs === undefined) this.#byPath.set(path, [sync])
    else syncs.push(sync)
  }

  /** When the first sync was done that began after a moment, of one of the paths; Infinity if none was. */
  doneAfter(after: number, isPath: (path: string) => boolean): number {
    let first = Infinity
    for (const [path, syncs] of this.#byPath) {
      if (!isPath(path)) continue
      for (const { begun, done } of syncs) if (begun > after && done < first) first = done
    }
    return first
  }
}
