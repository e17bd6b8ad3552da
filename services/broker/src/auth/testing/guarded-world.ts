import { strict as assert } from 'node:assert'
import { createHmac } from 'node:crypto'
import type { Action, GrantScope } from '@strata/auth'
import type { Clock, Logger } from '@strata/base'
import { BrokerWorld } from '../../connection/testing/broker-world.ts'
import { describe as shown, type RawClient } from '../../connection/testing/raw-client.ts'
import type { BrokerSettings } from '../../config/settings.ts'

const SECRET = Buffer.from('a secret that only tests have, of 40 bytes')
const PACKAGE = 'org.apache.pulsar.broker.authentication.'

export const GUARDED: Partial<BrokerSettings> = {
  authenticationEnabled: true,
  authenticationProviders: `${PACKAGE}AuthenticationProviderToken,${PACKAGE}AuthenticationProviderBasic`,
  tokenSecretKey: `data:;base64,${SECRET.toString('base64')}`,
  // ann:secret, as `openssl passwd -apr1 -salt saltsalt secret` writes it
  basicAuthConf: `data:;base64,${Buffer.from('ann:$apr1$saltsalt$LrttParrLPdxvgutaSXWJ0').toString('base64')}`,
  authorizationEnabled: true,
  superUserRoles: 'root,proxy-root',
  proxyRoles: 'proxy,proxy-root'
}

export function tokenOf(role: string, claims: Readonly<Record<string, unknown>> = {}): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const signed = `${part({ alg: 'HS256' })}.${part({ sub: role, ...claims })}`
  return `${signed}.${createHmac('sha256', SECRET).update(signed).digest('base64url')}`
}

export interface Introduction {
  readonly method?: string
  readonly data?: string
  readonly originalPrincipal?: string
  readonly originalAuthData?: string
  readonly supportsAuthRefresh?: boolean
}

/** A broker that asks who its clients are: tenant `acme` with admin `boss`, tenant `other` with admin `stranger`. */
export class GuardedWorld {
  readonly world: BrokerWorld

  private constructor(world: BrokerWorld) {
    this.world = world
  }

  static async start(
    settings: Partial<BrokerSettings> = {},
    options: { clock?: Clock; logger?: Logger } = {}
  ): Promise<GuardedWorld> {
    const world = await BrokerWorld.start({ webServicePort: 0, ...GUARDED, ...settings }, options)
    const { tenancy } = world.broker.namespaces
    const allowedClusters = [world.settings.clusterName]
    await tenancy.createTenant('acme', { adminRoles: ['boss'], allowedClusters })
    await tenancy.createTenant('other', { adminRoles: ['stranger'], allowedClusters })
    for (const namespace of ['acme/app', 'acme/second', 'other/app']) await tenancy.createNamespace(namespace, {})
    return new GuardedWorld(world)
  }

  async grant(scope: GrantScope, role: string, ...actions: Action[]): Promise<void> {
    const { grants, namespaces } = this.world.broker
    await grants.grant(scope, { role, actions, fence: await namespaces.tenancy.fenceOf(scope.namespace) })
  }

  /** A client that has said who it is; the answer lies in its inbox. */
  async introduce(introduction: Introduction): Promise<RawClient> {
    const client = await this.world.open()
    const { method, data = '', originalPrincipal, originalAuthData, supportsAuthRefresh = true } = introduction
    client.send('connect', {
      clientVersion: 'Raw-1.0',
      protocolVersion: 21,
      ...(method === undefined ? {} : { authMethodName: method, authData: Buffer.from(data) }),
      ...(originalPrincipal === undefined ? {} : { originalPrincipal }),
      ...(originalAuthData === undefined ? {} : { originalAuthData, originalAuthMethod: 'token' }),
      featureFlags: { supportsAuthRefresh }
    })
    return client
  }

  async connectAs(role: string, claims: Readonly<Record<string, unknown>> = {}): Promise<RawClient> {
    const client = await this.introduce({ method: 'token', data: tokenOf(role, claims) })
    const { command } = await client.take(({ command }) => command.case === 'connected' || command.case === 'error')
    assert.equal(command.case, 'connected', shown(command))
    return client
  }

  async close(): Promise<void> {
    await this.world.close()
  }
}
