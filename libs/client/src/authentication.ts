/** How this client says who it is. The broker asks again when credentials expire. */
export interface Authentication {
  /** The protocol's name of the method: `token`, `basic`, `tls`, … */
  readonly method: string
  getData(): Uint8Array | Promise<Uint8Array>
  /** For lookups over HTTP. */
  httpHeaders?(): Record<string, string> | Promise<Record<string, string>>
}

/** A JSON web token, or what gives a fresh one each time. */
export function tokenAuthentication(token: string | (() => string | Promise<string>)): Authentication {
  const supply = typeof token === 'string' ? () => token : token
  return {
    method: 'token',
    getData: async () => Buffer.from(await supply()),
    httpHeaders: async () => ({ Authorization: `Bearer ${await supply()}` })
  }
}

export function basicAuthentication(user: string, password: string): Authentication {
  const credentials = Buffer.from(`${user}:${password}`)
  return {
    method: 'basic',
    getData: () => credentials,
    httpHeaders: () => ({ Authorization: `Basic ${credentials.toString('base64')}` })
  }
}
