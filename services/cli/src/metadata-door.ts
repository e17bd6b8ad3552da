import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { configErrors, parseConfFile, systemClock, type Logger } from '@strata/base'
import type { EtcdMetadataOptions } from '@strata/metadata/etcd'
import type { MetadataStore } from '@strata/metadata'

/** Where metadata is. */
export type MetadataAddress =
  | { readonly kind: 'etcd'; readonly endpoints: readonly string[]; readonly isTls: boolean; readonly prefix: string }
  | { readonly kind: 'level'; readonly directory: string }

const DEFAULT_PREFIX = '/strata/'
const FORMS = 'write it as etcd:http://host:2379, etcd:https://host:2379,host:2379/prefix, or level:directory'

/**
 * `etcd:http://a:2379,b:2379/prefix` (as Apache Pulsar has it; `etcd://…` for short), `etcd:https://…`, `level:directory`.
 * @throws CodedError BAD_SETTING
 */
export function parseMetadataUrl(url: string): MetadataAddress {
  if (url === '') refuse(`metadataStoreUrl is not set: ${FORMS}`)
  const directory = /^level:(?:\/\/)?(.+)$/.exec(url)?.[1]
  if (directory !== undefined) return { kind: 'level', directory }
  if (!/^etcd:(https?:)?\/\//.test(url)) refuse(`metadataStoreUrl=${url}: ${FORMS}`)
  // each host may be written with the scheme again
  const bare = url.replace(/^etcd:/, '').replaceAll(/(https?:)?\/\//g, '')
  const slash = bare.indexOf('/')
  const endpoints = (slash < 0 ? bare : bare.slice(0, slash)).split(',')
  for (const endpoint of endpoints) {
    if (!/^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$/.test(endpoint))
      refuse(`metadataStoreUrl=${url}: ${endpoint} is no host:port`)
  }
  const prefix = prefixOf(slash < 0 ? '/' : bare.slice(slash))
  return { kind: 'etcd', endpoints, isTls: url.startsWith('etcd:https:'), prefix }
}

function prefixOf(path: string): string {
  if (path === '/') return DEFAULT_PREFIX
  return path.endsWith('/') ? path : `${path}/`
}

/**
 * Opens the store that a URL names. `configPath`: Pulsar's keys for etcd, `tlsTrustCertsFilePath`, `tlsCertificateFilePath`,
 * `tlsKeyFilePath`, and `username` and `passwordPath`; empty: none. `mustExist`: a directory is not made into a store. `onReplaced`: etcd
 * was set back, or is another one, and the process must start anew.
 * @throws CodedError BAD_SETTING, BAD_CONFIG_FILE; MetadataError
 */
export async function openMetadataStore(
  url: string,
  options: { configPath: string; logger: Logger; mustExist?: boolean; onReplaced?: (reason: string) => void }
): Promise<MetadataStore> {
  const { configPath, logger, mustExist = false, onReplaced } = options
  const address = parseMetadataUrl(url)
  if (address.kind === 'level') {
    const { directory } = address
    if (mustExist && !existsSync(join(directory, 'CURRENT'))) refuse(`metadataStoreUrl=${url}: no store is there`)
    const { LevelMetadataStore } = await import('@strata/metadata')
    return LevelMetadataStore.open({ directory })
  }
  const credentials = etcdCredentials(configPath, address.isTls)
  // gRPC is loaded only where there is an etcd
  const { EtcdMetadataStore } = await import('@strata/metadata/etcd')
  const { endpoints, prefix } = address
  const own = { endpoints, prefix, ...credentials, clock: systemClock, logger }
  return EtcdMetadataStore.open(onReplaced === undefined ? own : { ...own, onReplaced })
}

const CONFIG_KEYS = [
  'tlsTrustCertsFilePath',
  'tlsCertificateFilePath',
  'tlsKeyFilePath',
  'username',
  'passwordPath'
] as const

function etcdCredentials(path: string, isTls: boolean): Pick<EtcdMetadataOptions, 'tls' | 'username' | 'password'> {
  const values = new Map<string, string>()
  for (const { key, value } of path === '' ? [] : parseConfFile(readText(path, 'metadataStoreConfigPath'), path)) {
    if (!CONFIG_KEYS.some(known => known === key))
      refuse(`${path}: there is no key ${key}; keys are ${CONFIG_KEYS.join(', ')}`)
    values.set(key, value)
  }
  const fileOf = (key: (typeof CONFIG_KEYS)[number]): string | undefined => {
    const file = values.get(key) ?? ''
    return file === '' ? undefined : readText(file, key)
  }
  const [ca, cert, key] = [fileOf('tlsTrustCertsFilePath'), fileOf('tlsCertificateFilePath'), fileOf('tlsKeyFilePath')]
  const tls = {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key })
  }
  if (!isTls && Object.keys(tls).length > 0)
    refuse(`${path} names certificates: write metadataStoreUrl as etcd:https://…`)
  const username = values.get('username') ?? ''
  const password = fileOf('passwordPath')?.trim()
  return {
    ...(isTls ? { tls } : {}),
    ...(username === '' ? {} : { username, password: password ?? '' })
  }
}

function readText(path: string, key: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    const error = configErrors.create('BAD_CONFIG_FILE', { path }, cause)
    error.message = `${key} ${path}: cannot be read (${cause instanceof Error ? cause.message : String(cause)})`
    throw error
  }
}

function refuse(line: string): never {
  const error = configErrors.create('BAD_SETTING', {})
  error.message = line
  throw error
}
