import type { ClusterInfo } from '../../namespace/tenancy.ts'
import {
  bodyOf,
  done,
  json,
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
  return json((await required(request)).peerClusterNames)
}

async function required(request: AdminRequest): Promise<ClusterInfo> {
  const info = await request.backend.namespaces.tenancy.cluster(param(request, 'cluster'))
  return info ?? refuse(404, 'Cluster does not exist')
}

function infoOf(request: AdminRequest): ClusterInfo {
  const body = objectBody(request)
  return {
    serviceUrl: textOf(body.serviceUrl),
    serviceUrlTls: textOf(body.serviceUrlTls),
    brokerServiceUrl: textOf(body.brokerServiceUrl),
    brokerServiceUrlTls: textOf(body.brokerServiceUrlTls),
    peerClusterNames: textsOf(body.peerClusterNames)
  }
}

/** Empty addresses are left out, as Pulsar does. */
function shown(info: ClusterInfo): Record<string, unknown> {
  const urls = Object.entries(info).filter(([key, value]) => key !== 'peerClusterNames' && value !== '')
  return {
    ...Object.fromEntries(urls),
    ...(info.peerClusterNames.length > 0 ? { peerClusterNames: info.peerClusterNames } : {}),
    brokerClientTlsEnabled: false,
    tlsAllowInsecureConnection: false
  }
}
