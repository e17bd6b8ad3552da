export { standaloneErrors } from './errors.ts'
export { standaloneSettings, type StandaloneSettings } from './settings.ts'
export { openStandalone, type Standalone, type StandaloneOptions } from './standalone.ts'
