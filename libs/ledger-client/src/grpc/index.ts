// A door of its own: a process with its bookie inside does not pay for loading gRPC.
export { GrpcBookieNode, type GrpcBookieNodeOptions } from './grpc-bookie-node.ts'
export { serveBookieNode, type ServedBookieNode, type ServeOptions } from './serve-bookie-node.ts'
