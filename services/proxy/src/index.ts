export { proxyErrors } from './errors.ts'
export { openProxy, type Proxy, type ProxyOptions } from './proxy.ts'
export { proxyKeys } from './proxy-keys.ts'
export { proxySettings, unavailableProxySwitches, type ProxySettings } from './settings.ts'
