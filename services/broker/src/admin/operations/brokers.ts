import { brokerSettings, type BrokerSettings } from '../../config/settings.ts'
import type { AdminBackend } from '../backend.ts'
import { checkHealth } from '../health.ts'
import { done, json, param, words, type AdminReply, type AdminRequest } from '../operation.ts'
import { refuse } from '../rest-error.ts'
import { bundleOf } from './names.ts'

export function listBrokers(request: AdminRequest): AdminReply {
  return json([brokerIdOf(request)])
}

export async function health(request: AdminRequest): Promise<AdminReply> {
  await checkHealth(request.backend)
  return words('ok')
}

export function ready(): AdminReply {
  return words('ok')
}

export function version({ backend }: AdminRequest): AdminReply {
  return words(backend.version)
}

export function leaderBroker(request: AdminRequest): AdminReply {
  return json({ brokerId: brokerIdOf(request), serviceUrl: `http://${brokerIdOf(request)}` })
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
  return problem === undefined ? done() : refuse(412, problem)
}

export async function removeDynamicValue(request: AdminRequest): Promise<AdminReply> {
  const problem = await request.backend.dynamicSettings.remove(param(request, 'configName'))
  return problem === undefined ? done() : refuse(412, problem)
}

export function runtimeConfiguration({ backend }: AdminRequest): AdminReply {
  const settings: BrokerSettings = backend.settings
  return json(Object.fromEntries(Object.entries(settings).map(([key, value]) => [key, String(value)])))
}

/** Where other tools would find metadata: it is inside, so there is nothing to connect to. */
export function internalConfiguration(): AdminReply {
  return json({
    zookeeperServers: '',
    configurationStoreServers: '',
    metadataStoreUrl: '',
    configurationMetadataStoreUrl: '',
    ledgersRootPath: '',
    stateStorageServiceUrl: ''
  })
}

/** Bundles of the topics that are in memory. */
export async function ownedNamespaces(request: AdminRequest): Promise<AdminReply> {
  if (param(request, 'broker') !== brokerIdOf(request)) refuse(404, 'There is no such broker')
  const { backend } = request
  const owned: Record<string, unknown> = {}
  for (const bundle of await bundlesInMemory(backend)) {
    owned[bundle] = { broker_assignment: 'shared', is_controlled: false, is_active: true }
  }
  return json(owned)
}

async function bundlesInMemory(backend: AdminBackend): Promise<Set<string>> {
  const bundles = new Set<string>()
  for (const { name } of [...backend.topics.values()]) {
    const info = await backend.namespaces.tenancy.namespace(name.namespace)
    if (info !== undefined) bundles.add(`${name.namespace}/${bundleOf(name, info.bundleCount)}`)
  }
  return bundles
}

/** `host:port` of HTTP, as this client reaches it. */
export function brokerIdOf(request: AdminRequest): string {
  const { httpUrl } = routeOf(request, '')
  return httpUrl?.replace(/^https?:\/\//, '') ?? `localhost:${request.backend.ports.web}`
}

export function routeOf(request: AdminRequest, listenerName: string): ReturnType<AdminBackend['listeners']['route']> {
  const { listeners, ports } = request.backend
  return listeners.route({
    listenerName,
    localAddress: request.localAddress,
    remoteAddress: request.remoteAddress,
    port: ports.broker,
    webPort: ports.web
  })
}
