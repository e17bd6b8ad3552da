import * as properties from '../operations/namespace-properties.ts'
import type { Route } from '../route.ts'
import { PROPERTIES, TEXT } from '../shapes.ts'
import { NAMESPACE } from './paths.ts'

const ALL = `${NAMESPACE}/properties`
const ONE = `${NAMESPACE}/property/:key`
const permission = 'tenant-admin'

export const namespacePropertiesRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: ALL,
    name: 'getNamespaceProperties',
    operation: properties.getProperties,
    permission,
    reply: PROPERTIES
  },
  {
    method: 'PUT',
    path: ALL,
    name: 'setNamespaceProperties',
    operation: properties.setProperties,
    permission,
    body: PROPERTIES
  },
  { method: 'DELETE', path: ALL, name: 'clearNamespaceProperties', operation: properties.clearProperties, permission },
  {
    method: 'GET',
    path: ONE,
    name: 'getNamespaceProperty',
    operation: properties.getProperty,
    permission,
    reply: TEXT
  },
  {
    method: 'PUT',
    path: `${ONE}/:value`,
    name: 'setNamespaceProperty',
    operation: properties.setProperty,
    permission
  },
  {
    method: 'DELETE',
    path: ONE,
    name: 'removeNamespaceProperty',
    operation: properties.removeProperty,
    permission,
    reply: TEXT
  }
]
