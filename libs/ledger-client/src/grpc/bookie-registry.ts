import { RegistryBookieDirectory, type RegistryOptions } from '../registry/registry-bookie-directory.ts'
import { GrpcBookieNode } from './grpc-bookie-node.ts'
import { NO_SECURITY, type NodeSecurity } from './node-security.ts'

export interface BookieRegistryOptions extends Omit<RegistryOptions, 'connect'> {
  readonly clusterId: string
  readonly security?: NodeSecurity
  /** As of one node, see `GrpcBookieNode`. */
  readonly timeoutMs?: number
  readonly windowBytes?: number
}

const TIMEOUT_MS = 10_000

/** The nodes of a cluster, each over gRPC where it says that it is. @throws MetadataError */
export function openBookieRegistry(options: BookieRegistryOptions): Promise<RegistryBookieDirectory> {
  const { clusterId, clock, logger, security = NO_SECURITY, timeoutMs = TIMEOUT_MS, windowBytes } = options
  const window = windowBytes === undefined ? {} : { windowBytes }
  return RegistryBookieDirectory.open({
    ...options,
    connect: ({ bookieId, address }) =>
      new GrpcBookieNode({ bookieId, address, clusterId, clock, logger, security, timeoutMs, ...window })
  })
}
