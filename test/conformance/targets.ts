// What the table can be run against.
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { freePorts, peerDirectory } from '../peers/process.ts'
import { PULSAR_SETTINGS, startPulsar, type PulsarVersion } from '../peers/pulsar.ts'
import { BookieKiller } from '../support/bookie-killer.ts'
import { startCluster } from '../support/cluster-process.ts'
import { startProxy } from '../support/proxy-process.ts'
import { startStrata } from '../support/strata-process.ts'
import { Guard } from './guard.ts'
import type { Oracle, Profile } from './row.ts'

export interface RunningTarget {
  readonly brokerUrl: string
  readonly webUrl: string
  /** The port that the listener `mapped` advertises: a row that wants to be mapped opens it. Absent where there is none. */
  readonly mappedPort?: number
  log(): Promise<string>
  stop(): Promise<void>
  /** Of the profile `guarded`. */
  readonly guard?: Guard
  /** What there is to tell of the run, after it was stopped. */
  report?(): string
}

export interface Target {
  readonly name: string
  /** Rows of another oracle are not run against an Apache Pulsar; absent: all rows are. */
  readonly version?: Oracle
  /** The profiles that it can be started with; absent: all. */
  readonly profiles?: readonly Profile[]
  /** Rows that it cannot hold by its nature, and why. */
  readonly lacks?: Readonly<Record<string, string>>
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
    // what differs between Apache Pulsar's file for a standalone and the one for a cluster, whose defaults Strata has
    case 'standalone':
      return { backlogQuotaDefaultLimitGB: '10', managedLedgerDefaultMarkDeleteRateLimit: '0.1' }
    case 'guarded': // what it needs is made when it starts
      return {}
    case 'strict':
      return { allowAutoTopicCreation: 'false', allowAutoSubscriptionCreation: 'false' }
  }
}

function pulsar(name: string, version: PulsarVersion, scripts: string): Target {
  return {
    name,
    version,
    profiles: UNGUARDED,
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

function strataSettings(
  profile: Profile,
  { broker, web, mapped }: { broker: number; web: number; mapped: number }
): Record<string, string> {
  const settings: Record<string, string> = { brokerServicePort: `${broker}`, webServicePort: `${web}` }
  for (const key of SHARED_SETTINGS) settings[key] = PULSAR_SETTINGS[key] ?? ''
  return { ...settings, ...settingsOf(profile, { broker, mapped }) }
}

/** Who the clients of a cluster, a proxy or an Apache Pulsar are is the same thing: one broker is enough. */
const UNGUARDED: readonly Profile[] = ['default', 'tuned', 'strict']

const strata: Target = {
  name: 'strata',
  start: async profile => {
    const [broker = 0, web = 0, mapped = 0, brokerTls = 0, webTls = 0] = await freePorts(5)
    const directory = await peerDirectory('conformance')
    const guard = profile === 'guarded' ? await Guard.make(directory, { broker: brokerTls, web: webTls }) : undefined
    const set = { ...strataSettings(profile, { broker, web, mapped }), ...guard?.settings() }
    const { brokerUrl, webUrl, log, stop } = await startStrata({ data: join(directory, 'data'), set })
    await guard?.grantAll(webUrl)
    return {
      ...{ brokerUrl, webUrl, mappedPort: mapped },
      ...(guard === undefined ? {} : { guard }),
      log: () => Promise.resolve(log()),
      async stop() {
        await stop()
        await rm(directory, { recursive: true, force: true })
      }
    }
  }
}

/** A proxy in front of a broker: all that clients and administrators do goes through it. */
const strataProxy: Target = {
  name: 'strata-proxy',
  profiles: UNGUARDED,
  lacks: {
    'admin-lookup': 'a lookup over HTTP through a proxy answers the address of the broker, as with Apache Pulsar',
    'admin-metrics': 'the metrics of a proxy are its own',
    'advertised-mapped-port': 'the port that stands for the broker leads to the proxy, which would connect to itself'
  },
  start: async profile => {
    const broker = await strata.start(profile)
    try {
      const proxy = await startProxy({
        set: {
          brokerServiceURL: broker.brokerUrl,
          brokerWebServiceURL: broker.webUrl,
          brokerProxyAllowedHostNames: 'localhost,127.0.0.1',
          brokerProxyAllowedTargetPorts: '*'
        }
      })
      return {
        ...broker,
        ...{ brokerUrl: proxy.serviceUrl, webUrl: proxy.webUrl },
        log: async () => `${await broker.log()}\n${proxy.log()}`,
        async stop() {
          await proxy.stop()
          await broker.stop()
        }
      }
    } catch (error) {
      await broker.stop()
      throw error
    }
  }
}

const BOOKIES = 3

/** Etcd, three storage nodes and one broker. @param killEveryMs One node after the other is killed; undefined: none. */
function strataCluster(scripts: string, killEveryMs: number | undefined): Target {
  return {
    name: 'strata-cluster',
    profiles: UNGUARDED,
    start: async profile => {
      const [broker = 0, web = 0, mapped = 0] = await freePorts(3)
      const data = await peerDirectory('conformance')
      const set = strataSettings(profile, { broker, web, mapped })
      const cluster = await startCluster({ scripts, data, set, bookieCount: BOOKIES })
      const killer =
        killEveryMs === undefined
          ? undefined
          : new BookieKiller(cluster.bookies, { everyMs: killEveryMs, count: BOOKIES })
      const { brokerUrl, webUrl } = cluster.broker.ready
      return {
        ...{ brokerUrl, webUrl, mappedPort: mapped },
        log: () => Promise.resolve(cluster.broker.log()),
        async stop() {
          try {
            await killer?.stop()
          } finally {
            await cluster.stop()
            await rm(data, { recursive: true, force: true })
          }
        },
        ...(killer === undefined ? {} : { report: () => `storage nodes were killed ${killer.kills} times` })
      }
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
  options: {
    testFolder: string
    brokerUrl: string | undefined
    webUrl: string | undefined
    killBookiesMs: number | undefined
  }
): Target | undefined {
  const scripts = join(options.testFolder, 'peers')
  if (options.brokerUrl !== undefined && options.webUrl !== undefined) return running(options.brokerUrl, options.webUrl)
  switch (against) {
    case 'pulsar':
      return pulsar('pulsar', '4.0.8', scripts)
    case 'pulsar-next':
      return pulsar('pulsar-next', '5.0.0-M1', scripts)
    case 'strata':
      return strata
    case 'strata-proxy':
      return strataProxy
    case 'strata-cluster':
      return strataCluster(scripts, options.killBookiesMs)
    default:
      return undefined
  }
}
