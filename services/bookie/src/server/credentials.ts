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

const SECRET_CHARS_MIN = 32

/** Reads what nodes and their clients know each other by. @throws CREDENTIALS_UNUSABLE, one line that names the key */
export async function loadNodeSecurity(files: CredentialFiles): Promise<NodeSecurity> {
  return { secrets: await readSecrets(files.secretFile), tls: await readTls(files) }
}

async function readSecrets(path: string): Promise<string[]> {
  if (path === '') return []
  const lines = (await readNamed(path, 'strataClusterSecretFile')).toString('utf8').split('\n')
  const secrets = lines.map(line => line.trim()).filter(line => line !== '')
  if (secrets.length > 0 && secrets.every(secret => secret.length >= SECRET_CHARS_MIN)) return secrets
  const wanted = `one secret a line, each of ${SECRET_CHARS_MIN} characters or more`
  throw startError('CREDENTIALS_UNUSABLE', `strataClusterSecretFile ${path}: it must hold ${wanted}`)
}

async function readTls({ certificate, key, authority }: CredentialFiles): Promise<NodeTls | undefined> {
  const given = [certificate, key, authority].filter(path => path !== '').length
  if (given === 0) return undefined
  if (given < 3) {
    throw startError('CREDENTIALS_UNUSABLE', 'TLS needs all of tlsCertificatePath, tlsKeyStore and tlsTrustStore')
  }
  return {
    certificate: await readPem(certificate, 'tlsCertificatePath', 'CERTIFICATE'),
    key: await readPem(key, 'tlsKeyStore', 'PRIVATE KEY'),
    authority: await readPem(authority, 'tlsTrustStore', 'CERTIFICATE')
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
