import type { Authenticator, ClientTls, LoginLimit, OwnCredentials, ServerTls } from '@strata/auth'
import type { Clock, Logger } from '@strata/base'
import type { BrokerDirectory } from '../brokers/broker-directory.ts'
import type { TargetCheck } from '../brokers/target-check.ts'
import type { ProxyMetrics } from '../metrics.ts'
import type { ProxySettings } from '../settings.ts'

/** What all connections of a proxy share. */
export interface ProxyServices {
  readonly settings: ProxySettings
  readonly clock: Clock
  readonly logger: Logger
  readonly directory: BrokerDirectory
  readonly targets: TargetCheck
  readonly metrics: ProxyMetrics
  /** Undefined: nobody is asked who they are. */
  readonly authenticator: Authenticator | undefined
  readonly logins: LoginLimit
  /** What the proxy says of itself to brokers. */
  readonly own: OwnCredentials | undefined
  /** Of its own ports; undefined: none is with TLS. */
  readonly tls: ServerTls | undefined
  /** Undefined: brokers are connected to without it. */
  readonly brokerTls: ClientTls | undefined
  /** Of this program, for brokers and clients. */
  readonly version: string
}

/** What -1 is on the wire: an error that answers no request. */
export const NO_REQUEST = 0xffff_ffff_ffff_ffffn
