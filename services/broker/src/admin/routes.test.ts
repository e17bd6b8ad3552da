import { expect, test } from 'vitest'
import { openApiOf } from './openapi.ts'
import { routes } from './routes/index.ts'

test('no path is served twice', () => {
  const shapes = routes.map(({ method, path }) => `${method} ${path.replaceAll(/:[^/]+/g, ':')}`)
  expect(new Set(shapes).size).toBe(shapes.length)
})

test('operations have names of their own', () => {
  const names = routes.map(({ name }) => name)
  expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([])
})

test('a path that names no tenant asks for nothing of a tenant', () => {
  const wanting = routes.filter(
    ({ permission, path }) => !['open', 'authenticated', 'superuser'].includes(permission) && !path.includes('/:tenant')
  )
  expect(wanting).toEqual([])
})

test('what changes something is open to nobody who is not known', () => {
  expect(routes.filter(({ method, permission }) => method !== 'GET' && permission === 'open')).toEqual([])
})

test('OpenAPI describes every route', () => {
  const { paths } = openApiOf(routes, '1.0') as { paths: Record<string, Record<string, { operationId: string }>> }
  const described = Object.values(paths).flatMap(methods =>
    Object.values(methods).map(({ operationId }) => operationId)
  )
  expect(new Set(described)).toEqual(new Set(routes.map(({ name }) => name)))
})
