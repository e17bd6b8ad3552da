import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

/** The same from source and from what is built of it, which lies one folder deeper. */
export const ROOT = rootAbove(dirname(fileURLToPath(import.meta.url)))

function rootAbove(folder: string): string {
  return existsSync(join(folder, 'package-lock.json')) ? folder : rootAbove(dirname(folder))
}

const SKIPPED = new Set(['node_modules', 'dist', 'generated', '.git', '.cache', 'coverage', 'data'])

/** Every file below `folder` (relative to the repository), without what is built or fetched. */
export function filesBelow(folder: string, accept: (path: string) => boolean): string[] {
  const found: string[] = []
  const visit = (path: string): void => {
    for (const name of readdirSync(path)) {
      if (SKIPPED.has(name)) continue
      const child = join(path, name)
      if (statSync(child).isDirectory()) visit(child)
      else if (accept(child)) found.push(relative(ROOT, child).split(sep).join('/'))
    }
  }
  visit(join(ROOT, folder))
  return found.sort()
}

export function textOf(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

export interface Import {
  readonly specifier: string
  readonly line: number
}

/** Every module a file names: imports, type imports, re-exports and dynamic imports. */
export function importsOf(path: string, content = textOf(path)): Import[] {
  const source = ts.createSourceFile(path, content, ts.ScriptTarget.Latest, true)
  const imports: Import[] = []
  const add = (node: ts.Node, specifier: ts.Expression | undefined): void => {
    if (specifier === undefined || !ts.isStringLiteral(specifier)) return
    imports.push({ specifier: specifier.text, line: source.getLineAndCharacterOfPosition(node.getStart()).line + 1 })
  }
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) add(node, node.moduleSpecifier)
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) add(node, node.arguments[0])
    if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node, node.argument.literal)
    ts.forEachChild(node, visit)
  }
  visit(source)
  return imports
}

export interface Workspace {
  readonly folder: string
  readonly name: string
  readonly manifest: { dependencies?: Record<string, string>; exports?: Record<string, unknown> }
}

export function workspaces(): Workspace[] {
  return ['libs', 'services'].flatMap(parent =>
    readdirSync(join(ROOT, parent)).map(child => {
      const folder = `${parent}/${child}`
      const manifest = JSON.parse(textOf(`${folder}/package.json`)) as Workspace['manifest'] & { name: string }
      return { folder, name: manifest.name, manifest }
    })
  )
}
