// A door of its own: a process with its bookie inside does not pay for loading gRPC.
export { GrpcBookieNode, type GrpcBookieNodeOptions } from './grpc-bookie-node.ts'
export { NO_SECURITY, type NodeSecurity, type NodeTls } from './node-security.ts'
export {
  hostPort,
  serveBookieNode,
  type NodeRuns,
  type ServedBookieNode,
  type ServeOptions,
  type ServeStats
} from './serve-bookie-node.ts'
export { openBookieRegistry, type BookieRegistryOptions } from './bookie-registry.ts'
