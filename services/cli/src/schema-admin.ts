import { readFile } from 'node:fs/promises'
import { isRecord, numberOf, withAdmin, type AdminFlags } from './admin.ts'
import { destroy, type DestroyFlags } from './destruction.ts'
import { CommandFailure, usageFailure } from './failure.ts'
import { printJson, printLine, printTable } from './output.ts'
import { topicPath } from './topic-path.ts'

export interface AddFlags extends AdminFlags {
  readonly type: string
  readonly property: Readonly<Record<string, string>>
}

export interface DeleteFlags extends AdminFlags, DestroyFlags {
  readonly force?: boolean
}

export async function listSchemas(topic: string, flags: AdminFlags): Promise<void> {
  const { full } = topicPath(topic)
  const versions = await withAdmin(flags, admin => admin.call('GET', `${pathOf(topic)}/schemas`)).then(versionsOf)
  if (flags.json === true) for (const each of versions) await printJson({ topic: full, ...each })
  else
    printTable(
      ['version', 'type', 'since', 'bytes'],
      versions.map(({ version, type, timestamp, data }) => [
        numberOf(version),
        String(type),
        new Date(numberOf(timestamp)).toISOString(),
        Buffer.byteLength(typeof data === 'string' ? data : '')
      ])
    )
}

function versionsOf(answer: unknown): Record<string, unknown>[] {
  const found = isRecord(answer) && Array.isArray(answer.getSchemaResponses) ? answer.getSchemaResponses : []
  return found.filter(isRecord).sort((a, b) => numberOf(a.version) - numberOf(b.version))
}

/** The definition alone, so that it can be piped. */
export async function showSchema(
  { topic, version }: { topic: string; version: number | undefined },
  flags: AdminFlags
): Promise<void> {
  const last = version === undefined ? '' : `/${version}`
  const schema = await withAdmin(flags, admin => admin.call('GET', `${pathOf(topic)}/schema${last}`))
  const record = isRecord(schema) ? schema : {}
  await (flags.json === true
    ? printJson({ topic: topicPath(topic).full, ...record })
    : printLine(typeof record.data === 'string' ? record.data : ''))
}

export async function addSchema(topic: string, file: string, flags: AddFlags): Promise<void> {
  const body = await bodyOf(file, flags)
  const answer = await withAdmin(flags, admin => admin.call('POST', `${pathOf(topic)}/schema`, body))
  const { full } = topicPath(topic)
  const version = versionIn(answer)
  await (flags.json === true
    ? printJson({ topic: full, version, added: true })
    : printLine(`${full} has it as version ${version}`))
}

/** Ends with 1 where it does not go with those that are there. */
export async function checkSchema(topic: string, file: string, flags: AddFlags): Promise<void> {
  const body = await bodyOf(file, flags)
  const answer = await withAdmin(flags, admin => admin.call('POST', `${pathOf(topic)}/compatibility`, body))
  const { full } = topicPath(topic)
  const record = isRecord(answer) ? answer : {}
  if (flags.json === true) await printJson({ topic: full, ...record })
  if (record.compatibility !== true) {
    const reason = typeof record.reason === 'string' ? `: ${record.reason}` : ''
    throw new CommandFailure(`${full} would not take it (${String(record.schemaCompatibilityStrategy)})${reason}`)
  }
  if (flags.json !== true) await printLine(`${full} would take it (${String(record.schemaCompatibilityStrategy)})`)
}

export async function deleteSchemas(topic: string, flags: DeleteFlags): Promise<void> {
  const { full } = topicPath(topic)
  await withAdmin(flags, async admin => {
    await destroy(flags, {
      what: `all schemas of ${full}`,
      done: 'deleted',
      record: { topic: full },
      loss: async () => ({ versions: versionsOf(await admin.call('GET', `${pathOf(topic)}/schemas`)).length }),
      run: () => admin.call('DELETE', `${pathOf(topic)}/schema${flags.force === true ? '?force=true' : ''}`)
    })
  })
}

async function bodyOf(file: string, { type, property }: AddFlags): Promise<object> {
  try {
    return { type, schema: await readFile(file === '-' ? '/dev/stdin' : file, 'utf8'), properties: property }
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'no reason given'
    throw usageFailure(`${file} cannot be read (${reason}): name the file of a definition, or - for standard input`)
  }
}

/** Apache Pulsar writes it as `{ version: { version } }`, or as a number. */
function versionIn(answer: unknown): number {
  const version = isRecord(answer) ? answer.version : undefined
  return numberOf(isRecord(version) ? version.version : version)
}

function pathOf(topic: string): string {
  return `schemas/${topicPath(topic).path.replace(/^[^/]+\//, '')}`
}
