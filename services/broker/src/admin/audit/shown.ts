/** Of what is shown of one body. */
const SHOWN_CHARS_MAX = 4096
/** Names under which secrets stand, wherever in a body: of offloading, of functions, of whatever comes. */
const SECRET = /secret|password|passwd|token|credential|authparam|privatekey|accesskey|apikey/i
const HIDDEN = '(hidden)'
const DEPTH_MAX = 16

/** A body as the audit log has it: secrets hidden, long ones cut to their size. Undefined: it is empty. */
export function shownBody(body: Buffer): unknown {
  if (body.length === 0) return undefined
  if (body.length > SHOWN_CHARS_MAX) return { bytes: body.length }
  try {
    return withoutSecrets(JSON.parse(body.toString('utf8')), 0)
  } catch {
    // what is no JSON may be anything
    return { bytes: body.length }
  }
}

/** Messages and their like are nobody's business. */
export function sizeOnly(body: Buffer): unknown {
  return body.length === 0 ? undefined : { bytes: body.length }
}

export function shownQuery(query: Readonly<Record<string, string>>): Record<string, string> | undefined {
  const shown = Object.entries(query).map(([key, value]) => [key, SECRET.test(key) ? HIDDEN : value])
  return shown.length === 0 ? undefined : (Object.fromEntries(shown) as Record<string, string>)
}

function withoutSecrets(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (depth === DEPTH_MAX) return HIDDEN
  if (Array.isArray(value)) return value.map(item => withoutSecrets(item, depth + 1))
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, SECRET.test(key) ? HIDDEN : withoutSecrets(item, depth + 1)])
  )
}
