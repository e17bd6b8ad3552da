import type { Clock } from '@strata/base'
import { authError } from './errors.ts'
import type { AuthenticationProvider } from './identity.ts'
import { namesOf } from './names.ts'
import type { OpenIdSettings } from './openid-provider.ts'
import type { TokenSettings } from './token-provider.ts'

/** Keys of the broker, by Apache Pulsar's names and with its meanings. */
export interface ProviderSettings extends TokenSettings, OpenIdSettings {
  /** Java class names, comma-separated. */
  readonly authenticationProviders: string
  readonly basicAuthConf: string
}

const PACKAGE = 'org.apache.pulsar.broker.authentication.'

type Open = (settings: ProviderSettings, clock: Clock) => Promise<AuthenticationProvider>

/** By the names that Apache Pulsar's classes have. What a provider stands on is loaded only where it is asked for. */
const BY_CLASS: Readonly<Record<string, Open>> = {
  [`${PACKAGE}AuthenticationProviderToken`]: async (settings, clock) => {
    const { TokenProvider } = await import('./token-provider.ts')
    return new TokenProvider(settings, clock)
  },
  [`${PACKAGE}AuthenticationProviderTls`]: async () => {
    const { TlsProvider } = await import('./tls-provider.ts')
    return new TlsProvider()
  },
  [`${PACKAGE}AuthenticationProviderBasic`]: async settings => {
    const { BasicProvider } = await import('./basic-provider.ts')
    return new BasicProvider(settings)
  },
  [`${PACKAGE}oidc.AuthenticationProviderOpenID`]: async (settings, clock) => {
    const { OpenIdProvider } = await import('./openid-provider.ts')
    return new OpenIdProvider(settings, clock)
  }
}

/** One that is configured, by the name of its class without the package. */
export interface NamedProvider {
  readonly name: string
  readonly provider: AuthenticationProvider
}

/** In the order in which they are named. @throws AuthError AUTH_SETTING_INVALID */
export async function openProviders(settings: ProviderSettings, clock: Clock): Promise<NamedProvider[]> {
  const providers: NamedProvider[] = []
  for (const name of namesOf(settings.authenticationProviders)) {
    const open = BY_CLASS[name]
    if (open === undefined) {
      const known = Object.keys(BY_CLASS).join(', ')
      throw authError('AUTH_SETTING_INVALID', `authenticationProviders: ${name} is none of ${known}`)
    }
    providers.push({ name: name.slice(name.lastIndexOf('.') + 1), provider: await open(settings, clock) })
  }
  return providers
}
