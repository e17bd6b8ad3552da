import { strict as assert } from 'node:assert'
import { test } from 'vitest'
import { Inflow } from './inflow.ts'

/** A connection that is paused after so many bytes. */
class Taker {
  readonly inflow = new Inflow({
    isPaused: () => this.left <= 0,
    read: bytes => {
      const taken = Math.min(bytes.length, Math.max(1, this.left))
      this.text += bytes.toString('utf8', 0, taken)
      this.left -= taken
      return taken
    },
    resumeSocket: () => {
      this.resumed++
    }
  })
  left: number
  text = ''
  resumed = 0

  constructor(left: number) {
    this.left = left
  }

  async goOn(bytes: number): Promise<void> {
    this.left = bytes
    this.inflow.resume()
    await new Promise(resolve => setImmediate(resolve))
  }
}

test('what is left when the connection is paused is read later, in order, and then the socket is resumed', async () => {
  const taker = new Taker(3)
  taker.inflow.onData(Buffer.from('abcde'))
  taker.inflow.onData(Buffer.from('fgh'))
  assert.equal(taker.text, 'abc')
  await taker.goOn(3)
  assert.equal(taker.text, 'abcdef')
  assert.equal(taker.resumed, 0)
  await taker.goOn(100)
  assert.equal(taker.text, 'abcdefgh')
  assert.equal(taker.resumed, 1)
  taker.inflow.resume()
  assert.equal(taker.resumed, 2)
})

test('a paused connection is read one step at a time', () => {
  const taker = new Taker(1)
  taker.inflow.onData(Buffer.from('abc'))
  taker.inflow.step()
  assert.equal(taker.text, 'ab')
  taker.inflow.step()
  assert.equal(taker.text, 'abc')
  assert.equal(taker.resumed, 0)
  taker.inflow.step()
  assert.equal(taker.resumed, 1)
})

test('closed, it reads nothing more', async () => {
  const taker = new Taker(1)
  taker.inflow.onData(Buffer.from('abc'))
  taker.inflow.close()
  await taker.goOn(100)
  assert.equal(taker.text, 'a')
  assert.equal(taker.resumed, 0)
})
