import { isRecord, textsOf, withAdmin, type AdminFlags } from './admin.ts'
import { printJson, printLine, printTable } from './output.ts'
import { HIDDEN, isSecretName, withSecretsHidden } from './secrets.ts'

export async function listBrokers(flags: AdminFlags): Promise<void> {
  await withAdmin(flags, async admin => {
    const leader = await admin.find('brokers/leaderBroker')
    const leading = isRecord(leader) ? (leader.brokerId ?? hostOf(leader.serviceUrl)) : undefined
    const brokers = textsOf(await admin.call('GET', 'brokers')).sort()
    if (flags.json === true) for (const broker of brokers) await printJson({ broker, leads: broker === leading })
    else
      printTable(
        ['broker', ''],
        brokers.map(broker => [broker, broker === leading ? 'leads' : ''])
      )
  })
}

function hostOf(url: unknown): string | undefined {
  return typeof url === 'string' && URL.canParse(url) ? new URL(url).host : undefined
}

/** Ends with 1 where the broker that is asked cannot pass a message through itself. */
export async function brokerHealth(flags: AdminFlags): Promise<void> {
  await withAdmin(flags, admin => admin.call('GET', 'brokers/health'))
  await (flags.json === true ? printJson({ broker: flags.adminUrl, healthy: true }) : printLine('healthy'))
}

export async function ownedNamespaces(broker: string, flags: AdminFlags): Promise<void> {
  const owned = await withAdmin(flags, async admin => {
    const runtime = await admin.call('GET', 'brokers/configuration/runtime')
    const cluster = isRecord(runtime) && typeof runtime.clusterName === 'string' ? runtime.clusterName : ''
    return await admin.call(
      'GET',
      `brokers/${encodeURIComponent(cluster)}/${encodeURIComponent(broker)}/ownedNamespaces`
    )
  })
  for (const bundle of Object.keys(isRecord(owned) ? owned : {}).sort()) {
    await (flags.json === true ? printJson({ broker, bundle }) : printLine(bundle))
  }
}

/** Settings that can be changed while brokers run, with what they were set to. */
export async function listSettings(flags: AdminFlags): Promise<void> {
  await withAdmin(flags, async admin => {
    const names = textsOf(await admin.call('GET', 'brokers/configuration')).sort()
    const values = await admin.call('GET', 'brokers/configuration/values')
    const shown = withSecretsHidden(values)
    const all = isRecord(shown) ? shown : {}
    const valueOf = (name: string): string => (typeof all[name] === 'string' ? all[name] : '')
    if (flags.json === true) for (const name of names) await printJson({ setting: name, value: all[name] ?? null })
    else
      printTable(
        ['setting', 'value'],
        names.map(name => [name, valueOf(name)])
      )
  })
}

export async function setSetting({ name, value }: { name: string; value: string }, flags: AdminFlags): Promise<void> {
  const path = `brokers/configuration/${encodeURIComponent(name)}/${encodeURIComponent(value)}`
  await withAdmin(flags, admin => admin.call('POST', path))
  const shown = isSecretName(name) ? HIDDEN : value
  await (flags.json === true
    ? printJson({ setting: name, value: shown })
    : printLine(`set ${name} to ${shown} on all brokers`))
}

export async function unsetSetting(name: string, flags: AdminFlags): Promise<void> {
  await withAdmin(flags, admin => admin.call('DELETE', `brokers/configuration/${encodeURIComponent(name)}`))
  await (flags.json === true
    ? printJson({ setting: name, unset: true })
    : printLine(`${name} is again what each broker's own file says`))
}
