import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { routes } from './routes.ts'

test('the README lists what is served, no more and no less', () => {
  const readme = readFileSync(new URL('README.md', import.meta.url), 'utf8')
  const listed = readme.split('```')[1]?.trim().split('\n')
  expect(listed).toEqual([...routes.map(([method, path]) => `${method.padEnd(6)} ${path}`), 'GET    /metrics'])
})

test('no path is served twice', () => {
  const shapes = routes.map(([method, path]) => `${method} ${path.replaceAll(/:[^/]+/g, ':')}`)
  expect(new Set(shapes).size).toBe(shapes.length)
})
