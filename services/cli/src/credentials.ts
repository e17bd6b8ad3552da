import { usageFailure } from './failure.ts'

/** How a command says who asks. */
export interface CredentialFlags {
  readonly token?: string
  readonly tokenFile?: string
}

export interface Credentials {
  readonly token?: string
}

/**
 * The token as given, from a file, or from the environment, in this order. It stands in no output; one that was given on the
 * command line is taken out of what `ps` shows.
 * @throws CommandFailure where the file cannot be read
 */
export async function credentialsOf(flags: CredentialFlags): Promise<Credentials> {
  if (flags.token !== undefined) {
    process.title = 'strata'
    return checked(flags.token, '--token')
  }
  if (flags.tokenFile !== undefined) return checked(await contentOf(flags.tokenFile), flags.tokenFile)
  const { STRATA_TOKEN: token = '' } = process.env
  return token === '' ? {} : checked(token, 'STRATA_TOKEN')
}

async function contentOf(path: string): Promise<string> {
  const { readFile } = await import('node:fs/promises')
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'no reason given'
    throw usageFailure(`${path} cannot be read (${reason}): name another file with --token-file`)
  }
}

/** What does not fit into a header would be shown by the error about it. */
function checked(text: string, source: string): Credentials {
  const token = text.trim()
  if (/^[\x21-\x7e]+$/.test(token)) return { token }
  throw usageFailure(`${source} has no token: it is one line without blanks, such as a JWT`)
}
