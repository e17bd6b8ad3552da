import { brokerSettings, type BrokerSettings } from '../../config/settings.ts'
import type { BrokerAddress } from '../../ownership/contract.ts'
import { httpUrlOf } from '../../peers/http-peers.ts'
import type { AdminBackend } from '../backend.ts'
import { checkHealth } from '../health.ts'
import { done, json, noSuchPath, param, words, type AdminReply, type AdminRequest } from '../operation.ts'
import { refuse } from '../rest-error.ts'

/** Those that live, by their ids. */
export function listBrokers(request: AdminRequest): AdminReply {
  const { ownership } = request.backend.homes
  return json(ownership.brokers().map(broker => idOf(request, broker)))
}

export async function health(request: AdminRequest): Promise<AdminReply> {
  await checkHealth(request.backend)
  return words('ok')
}

/** For load balancers: no while it starts, hands over, or is out of touch with its cluster. */
export function ready({ backend }: AdminRequest): AdminReply {
  const troubles = backend.troubles()
  return troubles.length === 0 ? words('ok') : refuse(503, troubles.join('; '))
}

/** For brokers that are cut off from the metadata store: they go on serving if nobody reaches it. */
export async function reachesMetadata({ backend }: AdminRequest): Promise<AdminReply> {
  return json({ reaches: await backend.reachesStore() })
}

/** For brokers that are cut off from the storage nodes: they give up what they serve if somebody reaches them. */
export async function reachesStorage({ backend }: AdminRequest): Promise<AdminReply> {
  return json({ reaches: await backend.reachesStorage() })
}

export function version({ backend }: AdminRequest): AdminReply {
  return words(backend.version)
}

export function leaderBroker(request: AdminRequest): AdminReply {
  const leader = request.backend.homes.ownership.leader() ?? refuse(404, "Couldn't find leader broker")
  const brokerId = idOf(request, leader)
  const isReachedHere = request.backend.isAlone
  return json({ brokerId, serviceUrl: isReachedHere ? `http://${brokerId}` : httpUrlOf(leader) })
}

/**
 * What this broker serves is handed over first, so many bundles a second as asked for; then it stops as by a signal. Clients are told to
 * go, and none is waited for, whether that is forced or not. Answered when all is handed over.
 * @throws PlainAnswer 404: a value is none
 */
export async function shutDown(request: AdminRequest): Promise<AdminReply> {
  const { maxConcurrentUnloadPerSec: rate = '', forcedTerminateTopic: forced = '' } = request.query
  if (!/^\d{0,9}$/.test(rate)) noSuchPath(request)
  if (!['', 'true', 'false'].includes(forced.toLowerCase())) noSuchPath(request)
  const { backend } = request
  if (!backend.isAlone) await backend.homes.ownership.drain({ unloadsPerSecond: Number(rate) })
  backend.shutDown()
  return done()
}

/** Names of what may change while the broker runs. */
export function dynamicConfiguration(): AdminReply {
  const names = Object.entries(brokerSettings).filter(([, setting]) => setting.dynamic)
  return json(names.map(([name]) => name))
}

/** What was changed at run time. */
export async function dynamicValues({ backend }: AdminRequest): Promise<AdminReply> {
  return json(await backend.dynamicSettings.overrides())
}

export async function setDynamicValue(request: AdminRequest): Promise<AdminReply> {
  const { dynamicSettings } = request.backend
  const problem = await dynamicSettings.set(param(request, 'configName'), param(request, 'configValue'))
  return problem === undefined ? done(200) : refuse(412, problem)
}

export async function removeDynamicValue(request: AdminRequest): Promise<AdminReply> {
  const problem = await request.backend.dynamicSettings.remove(param(request, 'configName'))
  return problem === undefined ? done(200) : refuse(412, problem)
}

export function runtimeConfiguration({ backend }: AdminRequest): AdminReply {
  const settings: BrokerSettings = backend.settings
  const shown = Object.entries(settings).map(([key, value]) => {
    const isHidden = SECRET_SETTINGS.has(key) && value !== ''
    return [key, isHidden ? HIDDEN : String(value)]
  })
  return json(Object.fromEntries(shown))
}

/** They may hold credentials themselves, not only where those are. */
const SECRET_SETTINGS: ReadonlySet<string> = new Set<keyof BrokerSettings>([
  'tokenSecretKey',
  'strataOtlpMetricsHeaders',
  'basicAuthConf',
  'brokerClientAuthenticationParameters'
])
const HIDDEN = '******'

/** Where other tools would find metadata: it is inside, so there is nothing to connect to. */
export function internalConfiguration(): AdminReply {
  return json({
    zookeeperServers: '',
    configurationStoreServers: '',
    metadataStoreUrl: '',
    configurationMetadataStoreUrl: '',
    ledgersRootPath: ''
  })
}

/** Bundles of any broker: ownership is known everywhere. */
export function ownedNamespaces(request: AdminRequest): AdminReply {
  const { ownership } = request.backend.homes
  const asked = param(request, 'broker')
  const broker = ownership.brokers().find(other => idOf(request, other) === asked)
  if (broker === undefined) return refuse(404, `Broker id '${asked}' not found in available brokers.`)
  const owned: Record<string, unknown> = {}
  for (const [bundle, owner] of ownership.owners()) {
    if (owner.instance !== broker.instance) continue
    owned[bundle] = { broker_assignment: 'shared', is_controlled: false, is_active: true }
  }
  return json(owned)
}

/** This one goes by the address that the client reached where there is no other one to tell it from. */
export function idOf(request: AdminRequest, broker: BrokerAddress): string {
  const isSelf = broker.instance === request.backend.homes.ownership.self.instance
  return isSelf ? brokerIdOf(request) : broker.id
}

/** `host:port` of HTTP: what the cluster knows this broker by. */
export function brokerIdOf(request: AdminRequest): string {
  const { backend } = request
  if (!backend.isAlone) return backend.homes.ownership.self.id
  const { httpUrl, httpUrlTls } = routeOf(request, '')
  return (httpUrl ?? httpUrlTls)?.replace(/^https?:\/\//, '') ?? `localhost:${request.backend.ports.web}`
}

export function routeOf(request: AdminRequest, listenerName: string): ReturnType<AdminBackend['listeners']['route']> {
  const { listeners, ports } = request.backend
  return listeners.route({
    listenerName,
    localAddress: request.localAddress,
    remoteAddress: request.remoteAddress,
    ports
  })
}
