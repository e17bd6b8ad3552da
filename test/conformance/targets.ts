// What the table can be run against.
import { createInterface } from 'node:readline'
import { join } from 'node:path'
import { freePorts, peerDirectory, startPeer, waitReady } from '../peers/process.ts'
import { PULSAR_SETTINGS, startPulsar, type PulsarVersion } from '../peers/pulsar.ts'
import type { Oracle, Profile } from './row.ts'

export interface RunningTarget {
  readonly brokerUrl: string
  readonly webUrl: string
  /** The port that the listener `mapped` advertises: a row that wants to be mapped opens it. Absent where there is none. */
  readonly mappedPort?: number
  log(): Promise<string>
  stop(): Promise<void>
}

export interface Target {
  readonly name: string
  /** Rows of another oracle are not run against an Apache Pulsar; absent: all rows are. */
  readonly version?: Oracle
  /** The profiles that it can be started with; absent: all. */
  readonly profiles?: readonly Profile[]
  start(profile: Profile): Promise<RunningTarget>
}

const INTERCEPTORS = ['AppendIndexMetadataInterceptor', 'AppendBrokerTimestampMetadataInterceptor']

/** What each profile lays over the common settings. */
function settingsOf(profile: Profile, { broker, mapped }: { broker: number; mapped: number }): Record<string, string> {
  switch (profile) {
    case 'default':
      return {}
    case 'tuned':
      return {
        brokerEntryMetadataInterceptors: INTERCEPTORS.map(name => `org.apache.pulsar.common.intercept.${name}`).join(
          ','
        ),
        exposingBrokerEntryMetadataToClientEnabled: 'true',
        allowAutoTopicCreationType: 'partitioned',
        defaultNumPartitions: '3',
        advertisedListeners: [
          `inside:pulsar://127.0.0.1:${broker}`,
          `outside:pulsar://localhost:${broker}`,
          `mapped:pulsar://localhost:${mapped}`
        ].join(','),
        internalListenerName: 'inside'
      }
    case 'strict':
      return { allowAutoTopicCreation: 'false', allowAutoSubscriptionCreation: 'false' }
  }
}

function pulsar(name: string, version: PulsarVersion, scripts: string): Target {
  return {
    name,
    version,
    start: async profile => {
      const [broker = 0, web = 0, mapped = 0] = await freePorts(3)
      // rates are told a minute late by default
      const rates = { statsUpdateInitialDelayInSecs: '5', statsUpdateFrequencyInSecs: '5' }
      const settings = { ...settingsOf(profile, { broker, mapped }), ...rates }
      const peer = await startPulsar({ scripts, version, settings, ports: { broker, web } })
      return { ...peer, mappedPort: mapped }
    }
  }
}

/** Those of the common settings that a broker must take because rows depend on them. */
const SHARED_SETTINGS = [
  'acknowledgmentAtBatchIndexLevelEnabled',
  'activeConsumerFailoverDelayTimeMillis',
  'brokerDeleteInactiveTopicsEnabled',
  'maxMessageSize'
] as const

/** @param launcher The program that starts Strata. */
function strata(launcher: string): Target {
  return {
    name: 'strata',
    start: async profile => {
      const [broker = 0, web = 0, mapped = 0] = await freePorts(3)
      const settings: Record<string, string> = { brokerServicePort: `${broker}`, webServicePort: `${web}` }
      for (const key of SHARED_SETTINGS) settings[key] = PULSAR_SETTINGS[key] ?? ''
      Object.assign(settings, settingsOf(profile, { broker, mapped }))
      const directory = await peerDirectory('conformance')
      const sets = Object.entries(settings).flatMap(([key, value]) => ['--set', `${key}=${value}`])
      const command = ['standalone', '--json', '--data', join(directory, 'data'), ...sets]
      const peer = await startPeer([process.execPath, launcher, ...command], { directory })
      let ready: { brokerUrl: string; webUrl: string } | undefined
      if (peer.child.stdout !== null) {
        createInterface({ input: peer.child.stdout }).on('line', line => {
          if (line.includes('"event":"ready"')) ready = JSON.parse(line) as { brokerUrl: string; webUrl: string }
        })
      }
      await waitReady(peer, () => Promise.resolve(ready !== undefined), { timeoutMs: 60_000 })
      if (ready === undefined) throw new Error('ready without saying so')
      const { brokerUrl, webUrl } = ready
      return { brokerUrl, webUrl, mappedPort: mapped, log: () => peer.log(), stop: () => peer.stop() }
    }
  }
}

/** A broker that runs already, with the settings of the default profile. */
function running(brokerUrl: string, webUrl: string): Target {
  return {
    name: brokerUrl,
    profiles: ['default'],
    start: () => Promise.resolve({ brokerUrl, webUrl, log: () => Promise.resolve(''), stop: () => Promise.resolve() })
  }
}

/** @param testFolder The `test` workspace. @returns undefined for a name that is none. */
export function targetOf(
  against: string,
  options: { testFolder: string; brokerUrl: string | undefined; webUrl: string | undefined }
): Target | undefined {
  const scripts = join(options.testFolder, 'peers')
  if (options.brokerUrl !== undefined && options.webUrl !== undefined) return running(options.brokerUrl, options.webUrl)
  switch (against) {
    case 'pulsar':
      return pulsar('pulsar', '4.0.8', scripts)
    case 'pulsar-next':
      return pulsar('pulsar-next', '5.0.0-M1', scripts)
    case 'strata':
      return strata(join(options.testFolder, '..', 'services', 'cli', 'bin', 'strata.js'))
    default:
      return undefined
  }
}
