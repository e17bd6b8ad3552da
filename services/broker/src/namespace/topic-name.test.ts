import { describe, expect, test } from 'vitest'
import fc from 'fast-check'
import { isBrokerError } from '../errors.ts'
import { isSystemTopic, splitNamespace, TopicName, topicNameOfStorageName } from './topic-name.ts'

describe('a topic name', () => {
  test.each([
    ['t', 'persistent://public/default/t', -1],
    ['/t/', 'persistent://public/default/t', -1],
    ['a/b/t', 'persistent://a/b/t', -1],
    ['non-persistent://a/b/t-partition-7', 'non-persistent://a/b/t-partition-7', 7],
    ['persistent://a/b/t-partition-0', 'persistent://a/b/t-partition-0', 0],
    ['persistent://a/b/t-partition-01', 'persistent://a/b/t-partition-01', -1],
    ['persistent://a/b/t-partition--1', 'persistent://a/b/t-partition--1', -1],
    ['persistent://a/b/t-partition-', 'persistent://a/b/t-partition-', -1],
    ['persistent://a/b/t-partition-9999999999', 'persistent://a/b/t-partition-9999999999', -1],
    ['persistent://a/b/x-partition-1-partition-2', 'persistent://a/b/x-partition-1-partition-2', 2],
    ['persistent://a/b/with space %2F ü?', 'persistent://a/b/with space %2F ü?', -1]
  ])('%s is %s', (text, full, partition) => {
    const name = TopicName.parse(text)
    expect(name.toString()).toBe(full)
    expect(name.partitionIndex).toBe(partition)
  })

  test.each([
    'a/b',
    'a/b/c/d',
    '',
    'persistent://a/b',
    'persistent://a/b/',
    'persistent://a/b/  ',
    'persistent://a/b/c/d',
    'persistent:///b/c',
    'persistent://a//c',
    'mqtt://a/b/c',
    '://a/b/c',
    'persistent://a b/n/t',
    'persistent://a/n*/t',
    `persistent://a/b/${'x'.repeat(3000)}`,
    'persistent://a/b/\ud800'
  ])('%s is refused as InvalidTopicName', text => {
    expect(() => TopicName.parse(text)).toThrow(
      expect.toSatisfy((error: unknown) => isBrokerError(error, 'InvalidTopicName'))
    )
  })

  test('two megabytes of name are answered in few bytes', () => {
    try {
      TopicName.parse(`persistent://a/b/${'x'.repeat(2_000_000)}`)
      expect.unreachable()
    } catch (error) {
      expect((error as Error).message.length).toBeLessThan(400)
    }
  })

  test('base and partition are inverse', () => {
    const name = TopicName.parse('persistent://a/b/t')
    expect(name.partition(3).toString()).toBe('persistent://a/b/t-partition-3')
    expect(name.partition(3).base.toString()).toBe(name.toString())
    expect(name.base).toBe(name)
  })

  test('a storage name gives the topic back, whatever is in the local name', () => {
    const local = fc
      .string({ unit: 'binary', minLength: 1, maxLength: 60 })
      .filter(text => text.trim() !== '' && !text.includes('/'))
    fc.assert(
      fc.property(local, fc.constantFrom('persistent' as const, 'non-persistent' as const), (text, domain) => {
        const name = TopicName.of(domain, 'tenant/ns', text)
        expect(name.storageName.split('/')).toHaveLength(4)
        expect(topicNameOfStorageName(name.storageName)?.toString()).toBe(name.toString())
      })
    )
  })

  test.each(['tenant', 'a/b/c', '/b', 'a/', 'a/b c'])('namespace %s is refused', text => {
    expect(() => splitNamespace(text)).toThrow('Invalid')
  })

  test('system topics', () => {
    expect(isSystemTopic(TopicName.parse('pulsar/system/x'))).toBe(true)
    expect(isSystemTopic(TopicName.parse('public/default/__change_events-partition-0'))).toBe(true)
    expect(isSystemTopic(TopicName.parse('public/default/__mine'))).toBe(false)
  })
})
