import type { Route } from './route.ts'
import type { Shape } from './shapes.ts'

/*
  OpenAPI 3.0 of a table of routes. A path that serves both domains is described once, `domain` being a parameter of it.
*/

const SEGMENT = /:(\w+)(?:\(\^([^)]*)\$\))?/g

export function openApiOf(routes: readonly Route[], version: string): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const route of routes) {
    const path = route.path.replace(SEGMENT, '{$1}')
    const operations = (paths[path] ??= {})
    operations[route.method.toLowerCase()] = operationOf(route)
  }
  return { openapi: '3.0.3', info: { title: 'Strata', version }, paths }
}

function operationOf(route: Route): Record<string, unknown> {
  const { name, body, reply, permission, scope = 'local' } = route
  return {
    operationId: name,
    tags: [resourceOf(route)],
    parameters: [...route.path.matchAll(SEGMENT)].map(parameterOf),
    ...(body === undefined ? {} : { requestBody: { content: contentOf(body) } }),
    responses: {
      '2XX': { description: 'Done', ...(reply === undefined ? {} : { content: contentOf(reply) }) },
      ...(scope === 'local' ? {} : { '307': { description: 'Another broker answers it' } }),
      default: {
        description: 'Refused',
        content: contentOf({ type: 'object', properties: { reason: { type: 'string' } } })
      }
    },
    'x-permission': permission,
    'x-answered-by': scope
  }
}

/** `clusters`, `namespaces`, ...: what the path is about. */
export function resourceOf({ path }: Pick<Route, 'path'>): string {
  const [, first = '', second = '', third = ''] = path.split('/')
  if (first !== 'admin') return first
  return third === ':domain' ? 'topics' : third === '' ? second : third
}

function parameterOf([, name = '', form]: RegExpExecArray): Record<string, unknown> {
  const isDomain = name === 'domain'
  const schema = {
    type: 'string',
    ...(form === undefined ? {} : { pattern: `^${form}$` }),
    ...(isDomain ? { enum: ['persistent', 'non-persistent'] } : {})
  }
  return { name, in: 'path', required: true, schema }
}

function contentOf(schema: Shape): Record<string, unknown> {
  return { 'application/json': { schema } }
}
