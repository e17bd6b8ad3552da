/** Where resources are found. */
export const NAMESPACE = '/admin/v2/namespaces/:tenant/:namespace'
export const BUNDLE = `${NAMESPACE}/:bundle`
/** A bundle where other paths of one segment mean other things. */
export const RANGE = `${NAMESPACE}/:bundle(^0x[0-9a-fA-F]{8}_0x[0-9a-fA-F]{8}$)`
export const DOMAIN = '/admin/v2/:domain/:tenant/:namespace'
export const TOPIC = `${DOMAIN}/:topic`
export const SUBSCRIPTION = `${TOPIC}/subscription/:subscription`
export const CLUSTER = '/admin/v2/clusters/:cluster'
export const SCHEMA = '/admin/v2/schemas/:tenant/:namespace/:topic'
export const LOOKUP = '/lookup/v2/topic/:domain/:tenant/:namespace/:topic'
