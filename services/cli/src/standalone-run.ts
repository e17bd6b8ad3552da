import { createLogger, type LogLevel } from '@strata/base'
import { pulsarKeys } from '@strata/broker'
import { openStandalone, standaloneSettings, type Standalone } from '@strata/standalone'
import { refuseUnavailable } from './broker-switches.ts'
import { collectInBackground } from './background-collection.ts'
import { collectWhenIdle } from './idle-collection.ts'
import { loadSettings } from './settings.ts'
import { stopRequest } from './stop-request.ts'

export interface StandaloneFlags {
  readonly data: string
  readonly conf?: string
  readonly set: readonly string[]
  readonly lenient?: boolean
  readonly json?: boolean
}

export async function runStandalone(flags: StandaloneFlags): Promise<void> {
  const { settings, explicit, warnings } = loadSettings(standaloneSettings, {
    conf: flags.conf,
    env: process.env,
    set: flags.set,
    lenient: flags.lenient ?? false,
    foreign: pulsarKeys
  })
  refuseUnavailable(settings)
  const json = flags.json ?? false
  const logger = createLogger({ level: settings.strataLogLevel as LogLevel, ...(json ? { pretty: false } : {}) })
  for (const warning of warnings) logger.warn({ event: 'config.key_ignored', warning }, 'a setting was ignored')
  // listened for before it is told ready: who reads that line may stop it at once
  const stopped = stopRequest()
  const standalone = await openStandalone({ data: flags.data, settings, logger })
  collectWhenIdle()
  collectInBackground()
  if (json) printReadyJson(standalone)
  else printReady(standalone, { loopbackByDefault: !explicit.has('bindAddress') })
  await stopped
  await standalone.close()
}

function printReadyJson({ brokerUrl, webUrl, brokerUrlTls, webUrlTls, data }: Standalone): void {
  const ready = { event: 'ready', pid: process.pid, brokerUrl, webUrl, brokerUrlTls, webUrlTls, data }
  process.stdout.write(`${JSON.stringify(ready)}\n`)
}

function printReady(
  { brokerUrl, webUrl, brokerUrlTls, webUrlTls, data }: Standalone,
  { loopbackByDefault }: { loopbackByDefault: boolean }
): void {
  const port = new URL(brokerUrl).port
  const url = port === '6650' ? '' : ` --url ${brokerUrl}`
  const lines = [
    'Strata is ready.',
    `  clients     ${brokerUrl}`,
    `  admin       ${webUrl}   (status page: ${webUrl}/status.html)`,
    ...(brokerUrlTls === undefined ? [] : [`  with TLS    ${brokerUrlTls}`]),
    ...(webUrlTls === undefined ? [] : [`              ${webUrlTls}`]),
    `  data        ${data}`,
    ...(loopbackByDefault
      ? [
          '  reachable   from this machine only, since nobody is asked who they are; set bindAddress=0.0.0.0 to change it'
        ]
      : []),
    `  try         npx strata produce${url} my-topic --message hello`,
    `              npx strata consume${url} my-topic --subscription first --earliest`,
    '  stop        Ctrl-C (twice: at once)'
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
}
