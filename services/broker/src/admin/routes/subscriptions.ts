import type { Route } from '../route.ts'
import * as backlog from '../operations/backlog.ts'
import * as subscriptions from '../operations/subscriptions.ts'
import { ANY, MESSAGE_ID, OBJECT, PROPERTIES, TEXTS } from '../shapes.ts'
import { SUBSCRIPTION, TOPIC } from './paths.ts'

export const subscriptionsRoutes: readonly Route[] = [
  {
    method: 'GET',
    path: `${TOPIC}/subscriptions`,
    name: 'getSubscriptions',
    operation: subscriptions.listSubscriptions,
    scope: 'topic',
    permission: 'consume',
    reply: TEXTS
  },
  {
    method: 'PUT',
    path: SUBSCRIPTION,
    name: 'createSubscription',
    operation: subscriptions.createSubscription,
    scope: 'topic',
    permission: 'consume',
    body: {}
  },
  {
    method: 'DELETE',
    path: SUBSCRIPTION,
    name: 'deleteSubscription',
    operation: subscriptions.deleteSubscription,
    scope: 'topic',
    permission: 'consume'
  },
  {
    method: 'POST',
    path: `${SUBSCRIPTION}/skip/:numMessages`,
    name: 'skipMessages',
    operation: subscriptions.skipMessages,
    scope: 'topic',
    permission: 'consume'
  },
  {
    method: 'POST',
    path: `${SUBSCRIPTION}/skip_all`,
    name: 'skipAllMessages',
    operation: subscriptions.skipAllMessages,
    scope: 'topic',
    permission: 'consume'
  },
  {
    method: 'POST',
    path: `${SUBSCRIPTION}/expireMessages/:expireTimeInSeconds`,
    name: 'expireTopicMessages',
    operation: subscriptions.expireMessages,
    scope: 'topic',
    permission: 'consume'
  },
  {
    method: 'POST',
    path: `${TOPIC}/all_subscription/expireMessages/:expireTimeInSeconds`,
    name: 'expireMessagesForAllSubscriptions',
    operation: subscriptions.expireAllSubscriptions,
    scope: 'topic',
    permission: 'consume'
  },
  {
    method: 'POST',
    path: `${SUBSCRIPTION}/resetcursor/:timestamp`,
    name: 'resetCursor',
    operation: subscriptions.resetCursorToTime,
    scope: 'topic',
    permission: 'consume'
  },
  {
    method: 'POST',
    path: `${SUBSCRIPTION}/resetcursor`,
    name: 'resetCursorOnPosition',
    operation: subscriptions.resetCursorToPosition,
    scope: 'topic',
    permission: 'consume',
    body: OBJECT
  },
  {
    method: 'GET',
    path: `${SUBSCRIPTION}/properties`,
    name: 'getSubscriptionProperties',
    operation: subscriptions.getSubscriptionProperties,
    scope: 'topic',
    permission: 'consume',
    reply: PROPERTIES
  },
  {
    method: 'PUT',
    path: `${SUBSCRIPTION}/properties`,
    name: 'updateSubscriptionProperties',
    operation: subscriptions.putSubscriptionProperties,
    scope: 'topic',
    permission: 'consume',
    body: PROPERTIES
  },
  {
    method: 'POST',
    path: `${SUBSCRIPTION}/expireMessages`,
    name: 'expireTopicMessagesToPosition',
    operation: backlog.expireToPosition,
    scope: 'topic',
    permission: 'consume',
    body: MESSAGE_ID
  },
  {
    method: 'POST',
    path: `${SUBSCRIPTION}/analyzeBacklog`,
    name: 'analyzeSubscriptionBacklog',
    operation: backlog.analyzeBacklog,
    scope: 'topic',
    permission: 'consume',
    reply: OBJECT
  },
  {
    method: 'GET',
    path: `${SUBSCRIPTION}/replicatedSubscriptionStatus`,
    name: 'getReplicatedSubscriptionStatus',
    operation: subscriptions.replicatedStatus,
    scope: 'topic',
    permission: 'consume',
    reply: OBJECT
  },
  {
    method: 'POST',
    path: `${SUBSCRIPTION}/replicatedSubscriptionStatus`,
    name: 'setReplicatedSubscriptionStatus',
    operation: subscriptions.setReplicatedStatus,
    permission: 'tenant-admin',
    body: ANY
  }
]
