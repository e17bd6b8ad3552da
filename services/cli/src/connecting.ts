import { CodedError, type Logger } from '@strata/base'
import type * as strataClient from '@strata/client'
import { credentialsOf, type CredentialFlags } from './credentials.ts'
import { CommandFailure, explain, systemCodeOf } from './failure.ts'
import { interruptible, type Interrupt } from './interrupt.ts'
import { note } from './output.ts'

export interface ConnectFlags extends CredentialFlags {
  readonly url: string
}

/** The client's module is large: it is loaded by the commands that need it, when they run. */
export type ClientModule = typeof strataClient

export interface Session {
  readonly client: strataClient.PulsarClient
  readonly module: ClientModule
  readonly interrupt: Interrupt
}

/**
 * Runs with a client of the server at `--url`, closed afterwards; Ctrl-C asks `run` to end.
 * @throws CommandFailure if nothing listens there
 */
export async function withClient<T>(
  flags: ConnectFlags,
  run: (session: Session) => Promise<T>,
  options: { memoryLimitBytes?: number } = {}
): Promise<T> {
  const { token } = await credentialsOf(flags)
  const module = await import('@strata/client')
  const authentication = token === undefined ? {} : { authentication: module.tokenAuthentication(token) }
  return await interruptible(async interrupt => {
    let client: strataClient.PulsarClient | undefined
    try {
      client = new module.PulsarClient({
        serviceUrl: flags.url,
        logger: terseLogger(),
        ...authentication,
        ...options
      })
      const result = await run({ client, module, interrupt })
      await client.close()
      return result
    } catch (error) {
      client?.shutdown()
      throw connectFailure(error, flags.url)
    }
  })
}

function connectFailure(error: unknown, url: string): unknown {
  if (!(error instanceof CodedError) || error.code !== 'CONNECT_FAILED') return error
  const reason = systemCodeOf(error)
  const what =
    reason === 'ECONNREFUSED' ? `nothing listens at ${url}` : `${url} cannot be reached (${reason ?? 'no answer'})`
  return new CommandFailure(
    `${what}: start a server with \`strata standalone\`, or name another with --url or STRATA_URL`,
    {
      cause: error
    }
  )
}

/** Warnings and errors of the client as one short line each; the rest is of no use to who runs a command. */
function terseLogger(): Logger {
  const write = (fields: object, message: string): void => {
    const error = 'err' in fields ? ` (${explain(fields.err)})` : ''
    note(`strata: ${message}${error}`)
  }
  const logger: Logger = {
    debug: () => undefined,
    info: () => undefined,
    warn: write,
    error: write,
    child: () => logger
  }
  return logger
}
