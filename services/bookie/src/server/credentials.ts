import { readFile } from 'node:fs/promises'
import type { NodeSecurity, NodeTls } from '@strata/ledger-client/grpc'
import { systemCode } from '../errors.ts'
import { startError } from './errors.ts'

/** Paths; empty: without. */
export interface CredentialFiles {
  readonly secretFile: string
  readonly certificate: string
  readonly key: string
  readonly authority: string
}

/** The settings that name them, where they are other than a node's own. */
export type CredentialKeys = Omit<CredentialFiles, 'secretFile'>

const SECRET_CHARS_MIN = 32
const NODE_KEYS: CredentialKeys = {
  certificate: 'tlsCertificatePath',
  key: 'tlsKeyStore',
  authority: 'tlsTrustStore'
}

/** Reads what nodes and their clients know each other by. @throws CREDENTIALS_UNUSABLE, one line that names the key */
export async function loadNodeSecurity(files: CredentialFiles, keys = NODE_KEYS): Promise<NodeSecurity> {
  return { secrets: await readSecrets(files.secretFile), tls: await readTls(files, keys) }
}

async function readSecrets(path: string): Promise<string[]> {
  if (path === '') return []
  const lines = (await readNamed(path, 'strataClusterSecretFile')).toString('utf8').split('\n')
  const secrets = lines.map(line => line.trim()).filter(line => line !== '')
  if (secrets.length > 0 && secrets.every(secret => secret.length >= SECRET_CHARS_MIN)) return secrets
  const wanted = `one secret a line, each of ${SECRET_CHARS_MIN} characters or more`
  throw startError('CREDENTIALS_UNUSABLE', `strataClusterSecretFile ${path}: it must hold ${wanted}`)
}

async function readTls(
  { certificate, key, authority }: CredentialFiles,
  keys: CredentialKeys
): Promise<NodeTls | undefined> {
  const given = [certificate, key, authority].filter(path => path !== '').length
  if (given === 0) return undefined
  if (given < 3) {
    const wanted = `${keys.certificate}, ${keys.key} and ${keys.authority}`
    throw startError('CREDENTIALS_UNUSABLE', `TLS needs all of ${wanted}`)
  }
  return {
    certificate: await readPem(certificate, keys.certificate, 'CERTIFICATE'),
    key: await readPem(key, keys.key, 'PRIVATE KEY'),
    authority: await readPem(authority, keys.authority, 'CERTIFICATE')
  }
}

async function readPem(path: string, settingKey: string, label: string): Promise<Buffer> {
  const content = await readNamed(path, settingKey)
  if (new RegExp(`-----BEGIN [A-Z ]*${label}-----`).test(content.toString('latin1'))) return content
  throw startError('CREDENTIALS_UNUSABLE', `${settingKey} ${path}: it holds no ${label.toLowerCase()} in PEM format`)
}

async function readNamed(path: string, settingKey: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    const line = `${settingKey} ${path}: it cannot be read (${systemCode(error)})`
    throw startError('CREDENTIALS_UNUSABLE', line, error)
  }
}

/** May others reach what listens there? */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}
