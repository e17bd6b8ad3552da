import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { reasonOf } from '@strata/base'
import { authError } from './errors.ts'

const BASE64 = /^[A-Za-z0-9+/_-]+={0,2}$/

/**
 * Bytes that a setting names, in any of the ways of Apache Pulsar: `file:` and `data:` URLs, the path of a file, or the bytes
 * themselves as base64.
 * @throws AuthError AUTH_SETTING_INVALID, which names the setting and never its value
 */
export function readKeySource(setting: string, value: string): Buffer {
  const bytes = sourceOf(setting, value.trim())
  if (bytes.length === 0) throw authError('AUTH_SETTING_INVALID', `${setting}: what it names is empty`)
  return bytes
}

function sourceOf(setting: string, value: string): Buffer {
  if (value.startsWith('data:')) return dataOf(setting, value)
  const path = value.startsWith('file:') ? pathOf(setting, value) : value
  if (value.startsWith('file:') || existsSync(path)) return fileOf(setting, path)
  if (BASE64.test(value)) return Buffer.from(value, 'base64')
  throw authError('AUTH_SETTING_INVALID', `${setting}: there is no such file, and it is not base64 either`)
}

function dataOf(setting: string, value: string): Buffer {
  const comma = value.indexOf(',')
  if (comma < 0) throw authError('AUTH_SETTING_INVALID', `${setting}: a data URL has a comma before its data`)
  const text = value.slice(comma + 1)
  if (value.slice(0, comma).endsWith(';base64')) return Buffer.from(text, 'base64')
  return Buffer.from(decodeURIComponent(text), 'utf8')
}

function pathOf(setting: string, value: string): string {
  // `file:/path` and `file:path` are in use beside the `file:///path` of the standard.
  if (!value.startsWith('file://')) return value.slice('file:'.length)
  try {
    return fileURLToPath(value)
  } catch {
    throw authError('AUTH_SETTING_INVALID', `${setting}: a file URL has three slashes and an absolute path`)
  }
}

function fileOf(setting: string, path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw authError('AUTH_SETTING_INVALID', `${setting}: its file cannot be read: ${reasonOf(error)}`, error)
  }
}
