import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { Backoff } from './backoff.ts'
import { BatchAcks } from './batch-acks.ts'
import { compress, compressionTypeOf, decompress, prepareCompression, type Compression } from './compression.ts'
import { Deque } from './deque.ts'
import { clientErrors, MessageId } from './index.ts'
import { parseServiceUrl } from './service-url.ts'
import { parseTopic } from './topic-name.ts'

describe('message id', () => {
  const fields = fc.record({
    ledgerId: fc.oneof(fc.maxSafeNat(), fc.constantFrom(-1, Infinity)),
    entryId: fc.oneof(fc.maxSafeNat(), fc.constantFrom(-1, Infinity)),
    partition: fc.integer({ min: -1, max: 5000 }),
    batchIndex: fc.integer({ min: -1, max: 5000 }),
    batchSize: fc.nat(5000)
  })

  test('survives as bytes, and is ordered', () => {
    fc.assert(
      fc.property(fields, fields, (one, other) => {
        const [a, b] = [new MessageId(one), new MessageId(other)]
        const copy = MessageId.deserialize(a.serialize())
        expect(copy.equals(a)).toBe(true)
        expect(copy.batchSize).toBe(a.batchSize)
        expect(Math.sign(a.compareTo(b))).toBe(-Math.sign(b.compareTo(a)) + 0)
      })
    )
  })

  test('reads and writes what other clients do', () => {
    const bytes = Buffer.from('080110021800' + '2003' + '300a', 'hex')
    const id = MessageId.deserialize(bytes)
    expect(id.toString()).toBe('1:2:0:3')
    expect(id.serialize()).toEqual(bytes)
    expect(MessageId.earliest.toString()).toBe('-1:-1:-1')
    expect(MessageId.earliest.serialize().toString('hex')).toBe('08ffffffffffffffffff01' + '10ffffffffffffffffff01')
    expect(MessageId.latest.serialize().toString('hex')).toBe('08ffffffffffffffff7f' + '10ffffffffffffffff7f')
    expect(() => MessageId.deserialize(Buffer.from('ff'))).toThrow('INVALID_OPTIONS')
  })
})

describe('topic names', () => {
  test.each([
    ['t', 'persistent://public/default/t'],
    ['a/b/t', 'persistent://a/b/t'],
    ['non-persistent://a/b/t', 'non-persistent://a/b/t'],
    ['persistent://a/b/c/d', 'persistent://a/b/c/d']
  ])('%s', (short, full) => {
    expect(parseTopic(short).full).toBe(full)
  })

  test.each(['', 'a/b', 'a/b/c/d', 'persistent://', 'persistent://a/b', 'other://a/b/c', 'a//c'])(
    '%j is refused',
    name => {
      expect(() => parseTopic(name)).toThrow('INVALID_TOPIC')
    }
  )

  test('a partition is told from its name', () => {
    expect(parseTopic('t-partition-12').partition).toBe(12)
    expect(parseTopic('t').partition).toBe(-1)
  })
})

test('service URLs', () => {
  expect(parseServiceUrl('pulsar://a,b:1,[::1]:2')).toEqual({
    scheme: 'pulsar',
    hosts: [
      { host: 'a', port: 6650 },
      { host: 'b', port: 1 },
      { host: '::1', port: 2 }
    ]
  })
  for (const url of ['a:1', 'ftp://a', 'pulsar://', 'pulsar://a:99999', 'pulsar://a:b', 'pulsar://a,']) {
    expect(() => parseServiceUrl(url)).toThrow('INVALID_SERVICE_URL')
  }
})

describe('compression', () => {
  beforeAll(prepareCompression)

  test.each<Compression>(['none', 'lz4', 'zlib', 'zstd', 'snappy'])('%s gives back what it got', name => {
    const type = compressionTypeOf(name)
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5000 }), fc.nat(20), (bytes, repeats) => {
        const plain = Buffer.concat(Array.from({ length: repeats + 1 }, () => Buffer.from(bytes)))
        expect(decompress(type, compress(type, plain), plain.length).equals(plain)).toBe(true)
      })
    )
  })

  test.each<Compression>(['lz4', 'zlib', 'zstd', 'snappy'])(
    '%s that is damaged, or not of its size, is refused',
    name => {
      const type = compressionTypeOf(name)
      const packed = compress(type, Buffer.alloc(1000, 'abc'))
      for (const bytes of [0, 999, 1001]) expect(() => decompress(type, packed, bytes)).toThrow('PAYLOAD_CORRUPT')
      expect(() => decompress(type, Buffer.from('garbage'), 100)).toThrow('PAYLOAD_CORRUPT')
    }
  )

  test('LZ4 is the bare block that the C++ client writes', () => {
    const packed = Buffer.from('a300000004180240006d310a00d0016d3200000004180240026d33', 'hex')
    expect(decompress(compressionTypeOf('lz4'), packed, 30).toString('latin1')).toContain('m3')
  })
})

test('acknowledged messages of a batch are those of a plain set', () => {
  const size = fc.integer({ min: 1, max: 200 })
  fc.assert(
    fc.property(size, fc.array(fc.tuple(fc.nat(210), fc.boolean())), (count, steps) => {
      const acks = new BatchAcks(count)
      const open = new Set(Array.from({ length: count }, (_, index) => index))
      for (const [index, isCumulative] of steps) {
        if (isCumulative) {
          acks.acknowledgeUpTo(index)
          for (let each = 0; each <= index; each++) open.delete(each)
        } else {
          acks.acknowledge(index)
          open.delete(index)
        }
        expect(acks.isDone).toBe(open.size === 0)
      }
      const isSet = (index: number): boolean => (((acks.halves[index >>> 5] as number) >>> (index & 31)) & 1) === 1
      expect(Array.from({ length: count }, (_, index) => index).filter(isSet)).toEqual([...open])
    })
  )
})

test('a deque is a list', () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.nat())), steps => {
      const deque = new Deque<number>()
      const list: number[] = []
      for (const step of steps) {
        if (step === null) expect(deque.shift()).toBe(list.shift())
        else {
          deque.push(step)
          list.push(step)
        }
        expect([...deque]).toEqual(list)
        expect(deque.peek()).toBe(list[0])
      }
      expect(deque.drain()).toEqual(list)
      expect(deque.length).toBe(0)
    })
  )
  const long = new Deque<number>()
  for (let item = 0; item < 10_000; item++) long.push(item)
  for (let item = 0; item < 9000; item++) expect(long.shift()).toBe(item)
  expect([long.length, long.peek()]).toEqual([1000, 9000])
})

test('waits grow up to their limit', () => {
  const backoff = new Backoff({ initialMs: 100, maxMs: 350, random: () => 0 })
  expect([1, 2, 3, 4].map(() => backoff.nextMs())).toEqual([100, 200, 350, 350])
  backoff.reset()
  expect(backoff.nextMs()).toBe(100)
  expect(clientErrors.is(new Error('other'))).toBe(false)
})
