// A door of its own: a process with its bookie inside does not pay for loading gRPC and HTTP.
export { loadNodeSecurity, type CredentialFiles } from './credentials.ts'
export { bookieServerErrors } from './errors.ts'
export { openBookieServer, type BookieServer, type BookieServerOptions } from './open-bookie-server.ts'
export { CLUSTER_ID_KEY, readClusterId } from '../volume/cluster-id.ts'
export { bookieSettings, type BookieServerSettings } from './settings.ts'
export * from '../auditor/index.ts'
