import { resourceOf } from './openapi.ts'
import type { Route } from './route.ts'

/** The table as a page for people. */
export function describeRoutes(routes: readonly Route[]): string {
  const byResource = new Map<string, Route[]>()
  for (const route of routes) {
    const resource = resourceOf(route)
    byResource.set(resource, [...(byResource.get(resource) ?? []), route])
  }
  const sections = [...byResource].flatMap(([resource, own]) => [
    `## ${resource}`,
    '',
    '| method | path | operation | who may | who answers |',
    '|---|---|---|---|---|',
    ...own.map(lineOf),
    ''
  ])
  return [
    '# The HTTP API',
    '',
    'Everything that a broker serves over HTTP. This page is made from the table in code; a test compares. `GET /openapi.json` says the',
    'same for programs. Who may: `tenant-admin` is an administrator of the tenant in the path; `lookup`, `produce` and `consume` are grants',
    'on its namespace, topic or subscription (`lookup`: either), which tenant administrators do not need. Who answers: `local` is the',
    'broker that is asked; of the others it sends the client to the one that serves the topic or bundle.',
    '',
    ...sections
  ].join('\n')
}

function lineOf({ method, path, name, permission, scope = 'local' }: Route): string {
  return `| ${method} | \`${path.replaceAll('|', '\\|')}\` | ${name} | ${permission} | ${scope} |`
}
