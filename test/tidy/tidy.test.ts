import { strict as assert } from 'node:assert'
import { existsSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import ts from 'typescript'
import { describe, test } from 'vitest'
import { cyclesOf, layerProblem, LAYERS, PURE } from './layers.ts'
import { filesBelow, importsOf, ROOT, textOf, workspaces } from './repository.ts'

const FILE_LINES_MAX = 500
const FUNCTION_LINES_MAX = 80
/** What a package may show: itself, what tests of others need, and what brings gRPC along, loaded only where it is used. */
const DOORS = new Set(['.', './testing', './grpc', './etcd', './server', './backup'])
const isSource = (path: string): boolean => /\.(ts|mts|js|mjs)$/.test(path) && !path.endsWith('.d.ts')
const sources = ['libs', 'services', 'test'].flatMap(folder => filesBelow(folder, isSource))

function report(problems: readonly string[]): void {
  assert.equal(problems.length, 0, `\n${problems.join('\n')}`)
}

describe('layers', () => {
  test('every workspace has a layer, a README and a narrow door', () => {
    report(
      workspaces().flatMap(({ folder, name, manifest }) => [
        ...(name in LAYERS ? [] : [`${folder}: ${name} is in no layer`]),
        ...(existsSync(join(ROOT, folder, 'README.md')) ? [] : [`${folder}: no README.md`]),
        ...Object.keys(manifest.exports ?? {}).flatMap(door =>
          DOORS.has(door) ? [] : [`${folder}: exports ${door}; only ${[...DOORS].join(', ')}`]
        )
      ])
    )
  })

  test('imports go downward only, through the doors of packages', () => {
    const problems = workspaces().flatMap(({ folder, name, manifest }) =>
      filesBelow(folder, isSource).flatMap(path =>
        importsOf(path).flatMap(({ specifier, line }) => {
          const at = `${path}:${line}`
          if (specifier.startsWith('.')) {
            const target = posix.join(dirname(path), specifier)
            return target.startsWith(`${folder}/`) ? [] : [`${at}: ${specifier} leaves the package`]
          }
          if (!specifier.startsWith('@strata/')) return []
          const [scope, short, ...door] = specifier.split('/')
          const imported = `${scope}/${short}`
          const problem = layerProblem(name, imported)
          return [
            ...(problem === undefined ? [] : [`${at}: ${problem}`]),
            ...(manifest.dependencies?.[imported] === undefined
              ? [`${at}: package.json does not list ${imported}`]
              : []),
            ...(DOORS.has(['.', ...door].join('/')) ? [] : [`${at}: ${specifier} is no door`])
          ]
        })
      )
    )
    report(problems)
  })

  test('no import cycles', () => {
    const graph = new Map(
      sources.map(path => [
        path,
        importsOf(path)
          .filter(({ specifier }) => specifier.startsWith('.'))
          .map(({ specifier }) => posix.join(dirname(path), specifier))
      ])
    )
    report(cyclesOf(graph).map(members => `cycle: ${members.join(' → ')}`))
  })
})

describe('shape', () => {
  test(`no file past ${FILE_LINES_MAX} lines`, () => {
    report(
      sources.flatMap(path => {
        const lines = textOf(path).split('\n').length - 1
        return lines > FILE_LINES_MAX ? [`${path}: ${lines} lines`] : []
      })
    )
  })

  test(`no function past ${FUNCTION_LINES_MAX} lines outside tests`, () => {
    report(sources.filter(path => !path.startsWith('test/') && !path.includes('.test.')).flatMap(longFunctions))
  })

  test('pure packages touch no clock, socket, file, promise or chance', () => {
    const banned =
      /\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\bset(Timeout|Interval|Immediate)\b|\bprocess\.|\bawait\b|\bnew Promise\b|\bconsole\.|from 'node:(net|fs|http|https|timers|dns|worker_threads|child_process)/
    report(
      PURE.flatMap(folder =>
        filesBelow(folder, path => isSource(path) && !path.includes('.test.') && !path.includes('/testing/')).flatMap(
          path =>
            textOf(path)
              .split('\n')
              .flatMap((line, i) =>
                banned.test(line.replace(/\/\/.*|^\s*\*.*/g, '')) ? [`${path}:${i + 1}: ${line.trim()}`] : []
              )
        )
      )
    )
  })

  test('no skipped or focused tests, no sleeps in tests, no stray marks', () => {
    const marks = /\b(TODO|FIXME|XXX)\b|\b(describe|test|it)\.(only|skip|todo)\b|@ts-ignore|@ts-nocheck|\bas any\b/
    report(
      sources
        .filter(path => path !== 'test/tidy/tidy.test.ts')
        .flatMap(path =>
          textOf(path)
            .split('\n')
            .flatMap((line, i) => (marks.test(line) ? [`${path}:${i + 1}: ${line.trim()}`] : []))
        )
    )
  })
})

function longFunctions(path: string): string[] {
  const source = ts.createSourceFile(path, textOf(path), ts.ScriptTarget.Latest, true)
  const problems: string[] = []
  const visit = (node: ts.Node): void => {
    if (ts.isFunctionLike(node) && 'body' in node && node.body !== undefined) {
      const start = source.getLineAndCharacterOfPosition(node.getStart()).line
      const lines = source.getLineAndCharacterOfPosition(node.end).line - start + 1
      if (lines > FUNCTION_LINES_MAX) problems.push(`${path}:${start + 1}: function of ${lines} lines`)
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return problems
}
