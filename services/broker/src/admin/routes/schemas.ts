import type { Route } from '../route.ts'
import * as schemas from '../operations/schemas.ts'
import { OBJECT, SCHEMA, SCHEMA_PAYLOAD } from '../shapes.ts'
import { SCHEMA as SCHEMAS } from './paths.ts'

export const schemasRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: `${SCHEMAS}/schema`,
    name: 'getSchema',
    operation: schemas.getSchema,
    permission: 'lookup',
    reply: SCHEMA
  },
  {
    method: 'GET',
    path: `${SCHEMAS}/schema/:version`,
    name: 'getSchemaByVersion',
    operation: schemas.getSchemaVersion,
    permission: 'lookup',
    reply: SCHEMA
  },
  {
    method: 'GET',
    path: `${SCHEMAS}/schemas`,
    name: 'getAllSchemas',
    operation: schemas.listSchemas,
    permission: 'lookup',
    reply: OBJECT
  },
  {
    method: 'GET',
    path: `${SCHEMAS}/metadata`,
    name: 'getSchemaMetadata',
    operation: schemas.getSchemaMetadata,
    permission: 'lookup',
    reply: OBJECT
  },
  {
    method: 'POST',
    path: `${SCHEMAS}/schema`,
    name: 'postSchema',
    operation: schemas.postSchema,
    permission: 'produce',
    body: SCHEMA_PAYLOAD,
    reply: OBJECT
  },
  {
    method: 'DELETE',
    path: `${SCHEMAS}/schema`,
    name: 'deleteSchema',
    operation: schemas.deleteSchema,
    permission: 'tenant-admin',
    reply: OBJECT
  },
  {
    method: 'POST',
    path: `${SCHEMAS}/compatibility`,
    name: 'testCompatibility',
    operation: schemas.testCompatibility,
    permission: 'tenant-admin',
    body: SCHEMA_PAYLOAD,
    reply: OBJECT
  },
  {
    method: 'POST',
    path: `${SCHEMAS}/version`,
    name: 'getVersionBySchema',
    operation: schemas.findVersion,
    permission: 'lookup',
    body: SCHEMA_PAYLOAD,
    reply: OBJECT
  }
]
