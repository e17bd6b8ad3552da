import { ownCredentialsSettings, providerSettings } from '@strata/auth'
import { boolean, number, text } from '@strata/base'

/** Who clients are, and what they may do. Names and meanings are Apache Pulsar's. */
export const authSettings = {
  authenticationEnabled: boolean({ default: false, doc: 'Ask clients who they are.' }),
  ...providerSettings,
  authenticationRefreshCheckSeconds: number({
    default: 60,
    min: 1,
    unit: 's',
    doc: 'How often it is looked whether the credentials of a connection have expired; its client is then asked for others.'
  }),
  authenticateMetricsEndpoint: boolean({
    default: false,
    doc: 'Ask who reads /metrics, too: names of topics are among its labels.'
  }),
  authorizationEnabled: boolean({
    default: false,
    doc: 'Check what a client may do. Needs authenticationEnabled.'
  }),
  authorizationAllowWildcardsMatching: boolean({
    default: false,
    doc: 'Grants to name* and *name are for all roles that begin and end so.'
  }),
  superUserRoles: text({ default: '', doc: 'Roles that may everything, comma-separated.' }),
  proxyRoles: text({
    default: '',
    doc: 'Roles of proxies, comma-separated: they ask for others, whom they name, and both must be allowed.'
  }),
  authenticateOriginalAuthData: boolean({
    default: false,
    doc: 'Check the credentials that a proxy passes on, and go by them; otherwise the role that it names is believed.'
  }),
  ...ownCredentialsSettings
} as const
