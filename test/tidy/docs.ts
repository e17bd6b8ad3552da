import { describeSettings } from '@strata/base'
import { bookieSettings } from '@strata/bookie/server'
import { clusterBrokerSettings } from '@strata/broker'
import { proxySettings } from '@strata/proxy'
import { standaloneSettings } from '@strata/standalone'
import ts from 'typescript'
import { filesBelow, textOf, workspaces } from './repository.ts'

/** docs/configuration.md */
export function configurationPage(): string {
  return [
    '# Settings',
    '',
    "Apache Pulsar's own key names, with its meanings. Read from a `.conf` file in its format (`--conf`), then from environment",
    'variables (`STRATA_BROKER_SERVICE_PORT`, or `PULSAR_PREFIX_brokerServicePort`), then from `--set key=value`; later ones win.',
    'An unknown or malformed key stops the start. This page is made from the tables in code; a test compares.',
    '',
    '## `strata standalone`',
    '',
    describeSettings(standaloneSettings),
    '## `strata broker`',
    '',
    'The broker of a cluster: all of the above that is about clients and topics, and where the rest of the cluster is.',
    '',
    describeSettings(clusterBrokerSettings),
    '## `strata bookie`',
    '',
    "One storage node of a cluster, by Apache BookKeeper's key names where it has them.",
    '',
    describeSettings(bookieSettings),
    '## `strata proxy`',
    '',
    "For networks where clients cannot reach brokers, by the key names of Apache Pulsar's proxy.",
    '',
    describeSettings(proxySettings)
  ].join('\n')
}

interface CodeRow {
  readonly code: string
  readonly fields: Readonly<Record<string, string>>
}

/** docs/errors.md: every table of codes that any package declares. */
export function errorsPage(): string {
  const sections = workspaces().flatMap(({ folder, name }) => {
    const rows = filesBelow(`${folder}/src`, path => path.endsWith('.ts') && !path.includes('.test.')).flatMap(
      errorRows
    )
    if (rows.length === 0) return []
    const hasWire = rows.some(row => row.fields['wire'] !== undefined)
    const head = hasWire
      ? '| code | ServerError | HTTP | try again | meaning |\n|---|---|---|---|---|'
      : '| code | try again | meaning |\n|---|---|---|'
    const lines = rows.map(({ code, fields }) => {
      const again = fields['retryable'] === 'true' ? 'yes' : 'no'
      const wire = hasWire ? ` ${fields['wire'] ?? ''} | ${fields['http'] ?? ''} |` : ''
      return `| \`${code}\` |${wire} ${again} | ${fields['summary'] ?? ''} |`
    })
    return [`## ${name}`, '', head, ...lines, '']
  })
  const intro =
    'Every error code, by the package that declares it. This page is made from the tables in code; a test compares.'
  return ['# Errors', '', intro, '', ...sections].join('\n')
}

/** Rows of the tables in a file: object literals whose values say `retryable` and `summary`. */
function errorRows(path: string): CodeRow[] {
  const content = textOf(path)
  if (!content.includes('retryable:')) return []
  const rows: CodeRow[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isPropertyAssignment(node) && ts.isObjectLiteralExpression(node.initializer)) {
      const fields = Object.fromEntries(node.initializer.properties.flatMap(fieldOf))
      if (fields['retryable'] !== undefined && fields['summary'] !== undefined) {
        rows.push({ code: node.name.getText().replaceAll("'", ''), fields })
      }
    }
    ts.forEachChild(node, visit)
  }
  visit(ts.createSourceFile(path, content, ts.ScriptTarget.Latest, true))
  return rows
}

function fieldOf(property: ts.ObjectLiteralElementLike): [string, string][] {
  if (!ts.isPropertyAssignment(property)) return []
  const value = property.initializer
  return [[property.name.getText(), ts.isStringLiteralLike(value) ? value.text : value.getText()]]
}
