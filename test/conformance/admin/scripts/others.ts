// Topics that are not persistent, schemas, producing over HTTP, what is switched off, and every pair where something is absent.
import { pairs, SWITCHED_OFF } from '../pairs.ts'
import { ask, make, script, type Ask, type Script } from '../script.ts'

const BROKEN = { raw: '{"a":' }
const NP = '/admin/v2/non-persistent/{tenant}/{namespace}/{topic}'
const nonPersistent = script('non-persistent', [
  ask(`PUT ${NP}/partitions`, 'good', { body: 2 }),
  ask(`PUT ${NP}/partitions`, 'again', { body: 2 }),
  ask(`PUT ${NP}/partitions`, 'broken body', { vars: { topic: 'broken' }, ...BROKEN }),
  ask(`GET ${NP}/partitions`, 'good'),
  ask(`GET ${NP}/partitions`, 'no topic', { vars: { topic: 'absent' } }),
  ask(`GET ${NP}/partitioned-stats`, 'good'),
  ask(`GET ${NP}/partitioned-stats`, 'no topic', { vars: { topic: 'absent' } }),
  make('PUT /admin/v2/non-persistent/{tenant}/{namespace}/single'),
  ask(`GET ${NP}/internalStats`, 'good', { vars: { topic: 'single' } }),
  ask(`GET ${NP}/internalStats`, 'no topic', { vars: { topic: 'absent' } }),
  ask(`GET ${NP}/entryFilters`, 'unset', { vars: { topic: 'single' } }),
  ask(`POST ${NP}/entryFilters`, 'no such filter', { vars: { topic: 'single' }, body: { entryFilterNames: 'absent' } }),
  ask(`DELETE ${NP}/entryFilters`, 'unset', { vars: { topic: 'single' } }),
  ask(`DELETE ${NP}/truncate`, 'refused', { vars: { topic: 'single' } }),
  ask(`PUT ${NP}/unload`, 'good', { vars: { topic: 'single' } }),
  ask(`PUT ${NP}/unload`, 'no topic', { vars: { topic: 'absent' } })
])

const SCHEMA = '/admin/v2/schemas/{tenant}/{namespace}/{topic}'
const RECORD = {
  type: 'AVRO',
  schema: '{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}',
  properties: { p: 'q' }
}
const OTHER = { ...RECORD, schema: '{"type":"record","name":"R","fields":[{"name":"a","type":"string"}]}' }
const schemas = script('schemas', [
  make('PUT @T'),
  ask(`GET ${SCHEMA}/schema`, 'none'),
  ask(`GET ${SCHEMA}/schemas`, 'none'),
  ask(`GET ${SCHEMA}/metadata`, 'none'),
  ask(`POST ${SCHEMA}/schema`, 'good', { body: RECORD }),
  ask(`POST ${SCHEMA}/schema`, 'again', { body: RECORD }),
  ask(`POST ${SCHEMA}/schema`, 'incompatible', { body: OTHER }),
  ask(`POST ${SCHEMA}/schema`, 'no such type', { body: { ...RECORD, type: 'OTHER' } }),
  ask(`POST ${SCHEMA}/schema`, 'not Avro', { body: { ...RECORD, schema: '{' } }),
  ask(`POST ${SCHEMA}/schema`, 'broken body', BROKEN),
  ask(`GET ${SCHEMA}/schema`, 'one'),
  ask(`GET ${SCHEMA}/schemas`, 'one'),
  ask(`GET ${SCHEMA}/metadata`, 'one'),
  ask(`GET ${SCHEMA}/schema/{version}`, 'first', { vars: { version: '0' } }),
  ask(`GET ${SCHEMA}/schema/{version}`, 'no such version', { vars: { version: '7' } }),
  ask(`GET ${SCHEMA}/schema/{version}`, 'words', { vars: { version: 'words' } }),
  ask(`POST ${SCHEMA}/compatibility`, 'same', { body: RECORD }),
  ask(`POST ${SCHEMA}/compatibility`, 'incompatible', { body: OTHER }),
  ask(`POST ${SCHEMA}/compatibility`, 'broken body', BROKEN),
  ask(`POST ${SCHEMA}/version`, 'known', { body: RECORD }),
  ask(`POST ${SCHEMA}/version`, 'unknown', { body: OTHER }),
  ask(`POST ${SCHEMA}/version`, 'broken body', BROKEN),
  ask(`DELETE ${SCHEMA}/schema`, 'good'),
  ask(`GET ${SCHEMA}/schema`, 'deleted'),
  ask(`DELETE ${SCHEMA}/schema`, 'gone')
])

const STRING = '{"name":"","schema":"","type":"STRING","properties":{}}'
const INT32 = '{"name":"","schema":"","type":"INT32","properties":{}}'
const MESSAGES = {
  valueSchema: STRING,
  producerName: 'rest',
  messages: [{ key: 'k', payload: 'hello', eventTime: '1603045262772', sequenceId: 1, properties: { a: '1' } }]
}
const JSON_SCHEMA = JSON.stringify({ name: 'R', type: 'JSON', schema: Buffer.from(RECORD.schema).toString('base64') })
const PARTED = { topic: 'parts', partition: '0' }

/** Over HTTP a topic is not made by producing to it. */
function restOf(domain: string): Script {
  const path = `/${domain}/{tenant}/{namespace}/{topic}`
  const to = `/admin/v2/${domain}/{tenant}/{namespace}`
  const made = ['topic', 'record', 'pair'].map(name => make(`PUT ${to}/${name}`))
  return script(`rest ${domain}`, [
    { kind: 'request', method: 'PUT', path: `${to}/parts/partitions`, body: 2 },
    ...made,
    ask(`POST ${path}`, 'good', { body: MESSAGES }),
    ask(`POST ${path}`, 'two', { body: { ...MESSAGES, messages: [{ payload: 'one' }, { payload: 'two' }] } }),
    ask(`POST ${path}`, 'known schema', { body: { ...MESSAGES, schemaVersion: 0 } }),
    ask(`POST ${path}`, 'no such schema', { body: { ...MESSAGES, schemaVersion: 7 } }),
    ask(`POST ${path}`, 'incompatible schema', { body: { ...MESSAGES, valueSchema: INT32 } }),
    ask(`POST ${path}`, 'no schema', { body: { messages: [{ payload: 'hello' }] } }),
    ask(`POST ${path}`, 'broken schema', { body: { ...MESSAGES, valueSchema: '{' } }),
    ask(`POST ${path}`, 'record', {
      vars: { topic: 'record' },
      body: { valueSchema: JSON_SCHEMA, messages: [{ payload: '{"a":1}' }] }
    }),
    ask(`POST ${path}`, 'pair', {
      vars: { topic: 'pair' },
      body: { keySchema: STRING, valueSchema: INT32, messages: [{ key: 'k', payload: '7' }] }
    }),
    ask(`POST ${path}`, 'no messages', { body: { valueSchema: STRING, messages: [] } }),
    ask(`POST ${path}`, 'no list of messages', { body: { valueSchema: STRING } }),
    ask(`POST ${path}`, 'no body'),
    ask(`POST ${path}`, 'broken body', BROKEN),
    ask(`POST ${path}`, 'partitioned', { vars: { topic: 'parts' }, body: MESSAGES }),
    ask(`POST ${path}`, 'no topic', { vars: { topic: 'absent' }, body: MESSAGES }),
    ask(`POST ${path}`, 'no namespace', { vars: { namespace: 'absent' }, body: MESSAGES }),
    ask(`POST ${path}/partitions/{partition}`, 'good', { vars: PARTED, body: MESSAGES }),
    ask(`POST ${path}/partitions/{partition}`, 'not partitioned', { vars: { partition: '0' }, body: MESSAGES }),
    ask(`POST ${path}/partitions/{partition}`, 'no partition', { vars: { ...PARTED, partition: '7' }, body: MESSAGES }),
    ask(`POST ${path}/partitions/{partition}`, 'words', { vars: { ...PARTED, partition: 'words' }, body: MESSAGES }),
    ask(`POST ${path}/partitions/{partition}`, 'no body', { vars: PARTED })
  ])
}

const OFF_VARS: Readonly<Record<string, string>> = {
  ...{
    mostSigBits: '0',
    leastSigBits: '1',
    coordinatorId: '0',
    subName: 'sub',
    ledgerId: '1',
    entryId: '1',
    timeout: '1000'
  },
  ...{ segmentId: '0', segmentId1: '0', segmentId2: '1', descriptor: '0000-ffff-0', subscription: 'sub' }
}

/** One request each: there is nothing more to learn of what is switched off. */
const switchedOff: readonly Script[] = [...SWITCHED_OFF].map(area =>
  script(
    `off ${area}`,
    // a topic each: of those that a Pulsar makes all the same, no other request learns
    pairs
      .filter(pair => pair.area === area)
      .map(({ name }, index) => ask(name, 'switched off', { vars: { topic: `topic-${index}` } })),
    OFF_VARS
  )
)

/** What a pair needs in its path besides, and a body that would do. */
const FILLERS: Readonly<Record<string, string>> = {
  ...{ role: 'alice', key: 'a', value: '1', resourcegroup: 'group', bundle: '0x00000000_0x40000000', numMessages: '1' },
  ...{
    timestamp: '0',
    ledgerId: '1',
    entryId: '0',
    messagePosition: '1',
    expireTimeInSeconds: '1',
    version: '0',
    partition: '0'
  }
}

/**
 * Every pair of a namespace or topic, asked where the tenant, the namespace or the topic is absent.
 * @param scripts Their first requests lend their bodies.
 */
export function absentScripts(scripts: readonly Script[]): Script[] {
  const first = new Map<string, Ask>()
  for (const { steps } of scripts) {
    for (const step of steps) {
      if (step.kind === 'ask' && (!first.has(step.pair) || step.note === 'good')) first.set(step.pair, step)
    }
  }
  const asked = pairs.filter(({ name, area }) => !SWITCHED_OFF.has(area) && /@N|@T|\{namespace\}/.test(name))
  return asked.map(({ name }, index) => {
    const { body, query } = first.get(name) ?? {}
    const given = { ...(body === undefined ? {} : { body }), ...(query === undefined ? {} : { query }) }
    const topic = `absent-${index}`
    // a tenant and a namespace each: Pulsar keeps some of what is set for those that are not there
    const absent = `absent-${index}`
    // it would be there then
    const isMaker = name === 'PUT @N'
    const ofTopic = /@T|\{topic\}/.test(name) && !name.startsWith('PUT @T ')
    return script(
      `absent ${name}`,
      [
        ask(name, 'tenant absent', { ...given, vars: { tenant: absent, topic } }),
        ...(isMaker ? [] : [ask(name, 'namespace absent', { ...given, vars: { namespace: absent, topic } })]),
        ...(ofTopic ? [ask(name, 'topic absent', { ...given, vars: { topic } })] : [])
      ],
      { ...FILLERS, namespace: 'shared' }
    )
  })
}

export const others: readonly Script[] = [
  nonPersistent,
  schemas,
  restOf('persistent'),
  restOf('non-persistent'),
  ...switchedOff
]
