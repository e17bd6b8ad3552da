// Apache Pulsar as a peer: the oracle for behaviour and the yardstick for speed.
import { join } from 'node:path'
import { freePorts, peerDirectory, startPeer, waitReady } from './process.ts'

const READY_TIMEOUT_MS = 240_000

export type PulsarVersion = '4.0.8' | '5.0.0-M1'

export interface PulsarPeer {
  readonly brokerUrl: string
  readonly webUrl: string
  log(): Promise<string>
  stop(): Promise<void>
}

/**
 * Every key on which the two versions' defaults differ, or whose default hides what is tested, with one value for both: batch-index
 * acknowledgement (off by default in 4.0, on in 5.0), and what Strata does not have, switched off.
 */
export const PULSAR_SETTINGS: Readonly<Record<string, string>> = {
  acknowledgmentAtBatchIndexLevelEnabled: 'true',
  activeConsumerFailoverDelayTimeMillis: '1000',
  allowAutoSubscriptionCreation: 'true',
  allowAutoTopicCreation: 'true',
  allowAutoTopicCreationType: 'non-partitioned',
  // rows own their topics and are slow under load: nothing may be collected under them
  brokerDeleteInactiveTopicsEnabled: 'false',
  brokerDeduplicationEnabled: 'false',
  defaultNumberOfNamespaceBundles: '4',
  delayedDeliveryEnabled: 'false',
  enableBrokerSideSubscriptionPatternEvaluation: 'true',
  enableBrokerTopicListWatcher: 'true',
  exposingBrokerEntryMetadataToClientEnabled: 'false',
  isAllowAutoUpdateSchemaEnabled: 'true',
  managedLedgerDefaultEnsembleSize: '1',
  managedLedgerDefaultWriteQuorum: '1',
  managedLedgerDefaultAckQuorum: '1',
  // small enough that chunks and refusals of big messages are cheap to test
  maxMessageSize: '1048576',
  scalableTopicsEnabled: 'false',
  schemaCompatibilityStrategy: 'FULL',
  subscriptionKeySharedUseConsistentHashing: 'true',
  systemTopicEnabled: 'true',
  topicLevelPoliciesEnabled: 'true',
  transactionCoordinatorEnabled: 'false',
  webSocketServiceEnabled: 'false'
}

/**
 * Starts an Apache Pulsar standalone on ports of its own and waits until its health check passes.
 * @param options.scripts   The folder of the `pulsar` and `pulsar-next` scripts.
 * @param options.settings  Laid over `PULSAR_SETTINGS`.
 * @param options.ports     What is needed when the settings themselves name the ports.
 */
export async function startPulsar(options: {
  scripts: string
  version: PulsarVersion
  settings?: Readonly<Record<string, string>>
  ports?: { broker: number; web: number }
}): Promise<PulsarPeer> {
  const [broker = 0, web = 0] =
    options.ports === undefined ? await freePorts(2) : [options.ports.broker, options.ports.web]
  const directory = await peerDirectory('pulsar')
  const settings = {
    ...PULSAR_SETTINGS,
    ...options.settings,
    brokerServicePort: String(broker),
    webServicePort: String(web),
    // it says OK while this file exists: any file that does will do
    statusFilePath: join(directory, 'data', 'standalone.conf')
  }
  const script = join(options.scripts, options.version === '4.0.8' ? 'pulsar' : 'pulsar-next')
  const pairs = Object.entries(settings).map(([key, value]) => `${key}=${value}`)
  const environment = { PULSAR_MEM: process.env.PULSAR_MEM ?? '-Xms1g -Xmx1g -XX:MaxDirectMemorySize=2g' }
  const peer = await startPeer([script, 'run', join(directory, 'data'), ...pairs], { directory, environment })
  const webUrl = `http://127.0.0.1:${web}`
  await waitReady(peer, () => isHealthy(webUrl), { timeoutMs: READY_TIMEOUT_MS })
  return { brokerUrl: `pulsar://127.0.0.1:${broker}`, webUrl, log: () => peer.log(), stop: () => peer.stop() }
}

/** The health check passes a moment before the standalone makes the namespace that everyone uses. */
async function isHealthy(webUrl: string): Promise<boolean> {
  for (const path of ['brokers/health', 'namespaces/public/default']) {
    const response = await fetch(`${webUrl}/admin/v2/${path}`, { signal: AbortSignal.timeout(5_000) })
    await response.arrayBuffer()
    if (!response.ok) return false
  }
  return true
}
