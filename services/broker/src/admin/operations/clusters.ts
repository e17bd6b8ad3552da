import type { ClusterClient, ClusterInfo } from '../../namespace/tenancy.ts'
import {
  bodyOf,
  done,
  json,
  jsonOrEmpty,
  objectBody,
  param,
  textOf,
  textsOf,
  type AdminReply,
  type AdminRequest
} from '../operation.ts'
import { refuse } from '../rest-error.ts'

export async function listClusters({ backend }: AdminRequest): Promise<AdminReply> {
  return json(await backend.namespaces.tenancy.clusters())
}

export async function getCluster(request: AdminRequest): Promise<AdminReply> {
  return json(shown(await required(request)))
}

export async function createCluster(request: AdminRequest): Promise<AdminReply> {
  if (bodyOf(request) === undefined) refuse(400, 'cluster data is required')
  await request.backend.namespaces.tenancy.createCluster(param(request, 'cluster'), infoOf(request))
  return done(200)
}

export async function updateCluster(request: AdminRequest): Promise<AdminReply> {
  await request.backend.namespaces.tenancy.updateCluster(param(request, 'cluster'), infoOf(request))
  return done(200)
}

export async function deleteCluster(request: AdminRequest): Promise<AdminReply> {
  await request.backend.namespaces.tenancy.deleteCluster(param(request, 'cluster'))
  return done()
}

export async function getPeers(request: AdminRequest): Promise<AdminReply> {
  const { peerClusterNames } = await required(request)
  return jsonOrEmpty(peerClusterNames.length > 0 ? peerClusterNames : undefined)
}

export async function setPeers(request: AdminRequest): Promise<AdminReply> {
  const name = param(request, 'cluster')
  const info = await required(request)
  const peerClusterNames = textsOf(bodyOf(request))
  const { tenancy } = request.backend.namespaces
  for (const peer of peerClusterNames) {
    if (peer === name) refuse(412, `${name} itself can't be part of peer-list`)
    if ((await tenancy.cluster(peer)) === undefined) refuse(412, `Peer cluster ${peer} does not exist`)
  }
  await tenancy.updateCluster(name, { ...info, peerClusterNames })
  return done()
}

async function required(request: AdminRequest): Promise<ClusterInfo> {
  const info = await request.backend.namespaces.tenancy.cluster(param(request, 'cluster'))
  return info ?? refuse(404, 'Cluster does not exist')
}

function infoOf(request: AdminRequest): ClusterInfo {
  const body = objectBody(request)
  for (const [field, scheme, example] of URLS) {
    const url = textOf(body[field])
    if (url !== '' && !url.startsWith(`${scheme}://`)) refuse(400, `Illegal ${example}`)
  }
  return {
    serviceUrl: textOf(body.serviceUrl),
    serviceUrlTls: textOf(body.serviceUrlTls),
    brokerServiceUrl: textOf(body.brokerServiceUrl),
    brokerServiceUrlTls: textOf(body.brokerServiceUrlTls),
    peerClusterNames: textsOf(body.peerClusterNames),
    client: clientOf(body)
  }
}

/** Passwords and tokens are not among them: how brokers of one cluster prove to another who they are is not kept here. */
const CLIENT_TEXTS = [
  'brokerClientCertificateFilePath',
  'brokerClientKeyFilePath',
  'brokerClientSslFactoryPlugin',
  'brokerClientSslFactoryPluginParams',
  'brokerClientTlsKeyStore',
  'brokerClientTlsKeyStoreType',
  'brokerClientTlsTrustStore',
  'brokerClientTlsTrustStoreType',
  'brokerClientTrustCertsFilePath',
  'listenerName',
  'proxyProtocol',
  'proxyServiceUrl'
]
const CLIENT_FLAGS = ['brokerClientTlsEnabled', 'brokerClientTlsEnabledWithKeyStore', 'tlsAllowInsecureConnection']

function clientOf(body: Readonly<Record<string, unknown>>): ClusterClient {
  const texts = CLIENT_TEXTS.map(name => [name, textOf(body[name])] as const).filter(([, text]) => text !== '')
  const flags = CLIENT_FLAGS.filter(name => body[name] === true).map(name => [name, true] as const)
  return Object.fromEntries<string | boolean>([...texts, ...flags])
}

const URLS = [
  ['serviceUrl', 'http', 'service url, example: http://pulsar.example.com:8080'],
  ['serviceUrlTls', 'https', 'service tls url, example: https://pulsar.example.com:8443'],
  ['brokerServiceUrl', 'pulsar', 'broker service url, example: pulsar://pulsar.example.com:6650'],
  ['brokerServiceUrlTls', 'pulsar+ssl', 'broker service tls url, example: pulsar+ssl://pulsar.example.com:6651']
] as const

/** Empty addresses are left out, as Pulsar does. */
function shown({ client, peerClusterNames, ...urls }: ClusterInfo): Record<string, unknown> {
  return {
    ...Object.fromEntries(Object.entries(urls).filter(([, url]) => url !== '')),
    ...(peerClusterNames.length > 0 ? { peerClusterNames } : {}),
    ...Object.fromEntries(CLIENT_FLAGS.map(name => [name, false])),
    ...client
  }
}
