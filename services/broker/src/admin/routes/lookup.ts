import type { Route } from '../route.ts'
import * as lookup from '../operations/lookup.ts'
import * as peers from '../operations/peers.ts'
import { statusPage } from '../operations/status-page.ts'
import { LOOKUP, TEXT } from '../shapes.ts'
import { PEER_PATH } from '../../peers/http-peers.ts'
import { LOOKUP as LOOKUPS } from './paths.ts'

const PEER = `${PEER_PATH}/:domain/:tenant/:namespace/:topic`

export const lookupRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: LOOKUPS,
    name: 'lookupTopic',
    operation: lookup.lookupTopic,
    permission: 'lookup',
    reply: LOOKUP
  },
  {
    method: 'GET',
    path: `${LOOKUPS}/bundle`,
    name: 'getNamespaceBundle',
    operation: lookup.lookupBundle,
    permission: 'lookup',
    reply: TEXT
  },
  { method: 'POST', path: `${PEER}/block`, name: 'blockTopic', operation: peers.blockTopic, permission: 'superuser' },
  {
    method: 'POST',
    path: `${PEER}/unblock`,
    name: 'unblockTopic',
    operation: peers.unblockTopic,
    permission: 'superuser'
  },
  { method: 'POST', path: `${PEER}/erase`, name: 'eraseTopic', operation: peers.eraseTopic, permission: 'superuser' },
  { method: 'GET', path: '/status.html', name: 'getStatusPage', operation: statusPage, permission: 'open' }
]
