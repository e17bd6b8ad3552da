export { createAdminServer, type AdminServer } from './admin/server.ts'
export { Broker, createBroker, type BrokerOptions } from './broker.ts'
export { pulsarKeys } from './config/pulsar-keys.ts'
export { brokerSettings, UNAVAILABLE_SWITCHES, type BrokerSettings } from './config/settings.ts'
