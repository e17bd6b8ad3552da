import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FrameDecoder } from './frame-decoder.ts'
import { wireErrors } from './errors.ts'

function framed(body: Uint8Array): Buffer {
  const frame = Buffer.alloc(4 + body.length)
  frame.writeUInt32BE(body.length, 0)
  frame.set(body, 4)
  return frame
}

function lengthOnly(length: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(length >>> 0, 0)
  return bytes
}

function collect(chunks: Buffer[], frameBytesMax = 1_000_000): Buffer[] {
  const frames: Buffer[] = []
  const decoder = new FrameDecoder({ frameBytesMax })
  for (const chunk of chunks) {
    decoder.push(chunk, { onFrame: (buffer, start, end) => frames.push(Buffer.from(buffer.subarray(start, end))) })
  }
  return frames
}

describe('frame decoder', () => {
  test('any cut of the stream gives the same frames', () => {
    const bodies = fc.array(fc.uint8Array({ minLength: 4, maxLength: 300 }), { maxLength: 8 })
    fc.assert(
      fc.property(bodies, fc.array(fc.nat(2000)), (bodyList, cuts) => {
        const stream = Buffer.concat(bodyList.map(framed))
        const ends = [...cuts.filter(cut => cut < stream.length).sort((a, b) => a - b), stream.length]
        const chunks = ends.map((end, index) => Buffer.from(stream.subarray(ends[index - 1] ?? 0, end)))
        expect(collect(chunks)).toEqual(bodyList.map(body => Buffer.from(body)))
      })
    )
  })

  test('held by its handler at any frames, it goes on with the rest of the chunk', () => {
    const bodies = fc.array(fc.uint8Array({ minLength: 4, maxLength: 300 }), { maxLength: 8 })
    fc.assert(
      fc.property(bodies, fc.array(fc.nat(2000)), fc.array(fc.boolean()), (bodyList, cuts, holds) => {
        const stream = Buffer.concat(bodyList.map(framed))
        const ends = [...cuts.filter(cut => cut < stream.length).sort((a, b) => a - b), stream.length]
        const frames: Buffer[] = []
        const decoder = new FrameDecoder({ frameBytesMax: 1000 })
        const handler = {
          onFrame: (buffer: Buffer, start: number, end: number) => {
            frames.push(Buffer.from(buffer.subarray(start, end)))
            if (holds[frames.length] === true) decoder.hold()
          }
        }
        for (const [index, end] of ends.entries()) {
          let rest = stream.subarray(ends[index - 1] ?? 0, end)
          while (rest.length > 0) {
            const before = frames.length
            const bytes = decoder.push(rest, handler)
            expect(bytes === rest.length || (frames.length > before && holds[frames.length] === true)).toBe(true)
            rest = rest.subarray(bytes)
          }
        }
        expect(frames).toEqual(bodyList.map(body => Buffer.from(body)))
      })
    )
  })

  test('one byte at a time', () => {
    const bodies = [Buffer.from('abcd'), Buffer.alloc(70_000, 7), Buffer.from('efghi')]
    const stream = Buffer.concat(bodies.map(framed))
    expect(collect([...stream].map(byte => Buffer.from([byte])))).toEqual(bodies)
  })

  test('a frame larger than its first memory is assembled whole', () => {
    const body = Buffer.alloc(900_000, 'abc')
    const stream = framed(body)
    const chunks = []
    for (let at = 0; at < stream.length; at += 65_536) chunks.push(stream.subarray(at, at + 65_536))
    expect(collect(chunks)[0]?.equals(body)).toBe(true)
  })

  test('a frame that lies whole in a chunk is not copied', () => {
    const chunk = Buffer.concat([framed(Buffer.from('first')), framed(Buffer.from('second'))])
    const seen: { isSame: boolean; text: string }[] = []
    new FrameDecoder({ frameBytesMax: 100 }).push(chunk, {
      onFrame: (buffer, start, end) =>
        seen.push({ isSame: buffer === chunk, text: buffer.toString('utf8', start, end) })
    })
    expect(seen).toEqual([
      { isSame: true, text: 'first' },
      { isSame: true, text: 'second' }
    ])
  })

  test.each([0, 1, 3, 101, 0x7fffffff, -1])('a length of %i is refused before any byte is kept', length => {
    for (const chunks of [[lengthOnly(length)], [...lengthOnly(length)].map(byte => Buffer.from([byte]))]) {
      try {
        collect(chunks, 100)
        expect.unreachable()
      } catch (error) {
        expect(wireErrors.is(error, 'MALFORMED_FRAME')).toBe(true)
      }
    }
  })

  test('the limit itself is allowed', () => {
    expect(collect([framed(Buffer.alloc(100))], 100)).toHaveLength(1)
  })

  test('closed by its handler, it hands out nothing more', () => {
    const decoder = new FrameDecoder({ frameBytesMax: 100 })
    let count = 0
    const handler = {
      onFrame: () => {
        count++
        decoder.close()
      }
    }
    decoder.push(Buffer.concat([framed(Buffer.alloc(5)), framed(Buffer.alloc(5)), Buffer.alloc(2)]), handler)
    decoder.push(framed(Buffer.alloc(5)), handler)
    expect(count).toBe(1)
  })
})
