import { strict as assert } from 'node:assert'
import { cpSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '../tidy/repository.ts'

/** What a release that is still to come has that this one lacks. */
const CHANGES: readonly { readonly file: string; readonly from: string; readonly to: string }[] = [
  // it knows one level of formats more
  { file: 'libs/metadata/dist/feature-level.js', from: '{ min: 1, max: 1 }', to: '{ min: 1, max: 2 }' },
  // every row that it writes has a field more, as a release of the same level may add: number 1000, a varint
  {
    file: 'libs/metadata/dist/row-codec.js',
    from: 'toBinary(schema, create(schema, init))]',
    to: 'toBinary(schema, create(schema, init)), Buffer.of(0xc0, 0x3e, 0x01)]'
  },
  { file: 'services/cli/dist/version.js', from: "'0.1.0'", to: "'0.2.0'" }
]

/**
 * Puts a build of the release after this one below a directory: what was built here, with the changes above. Returns its
 * program, to be run as `strata`.
 */
export function makeNextBuild(directory: string): string {
  const modules = join(directory, 'node_modules')
  mkdirSync(join(modules, '@strata'), { recursive: true })
  for (const name of readdirSync(join(ROOT, 'node_modules'))) {
    if (name !== '@strata' && !name.startsWith('.')) symlinkSync(join(ROOT, 'node_modules', name), join(modules, name))
  }
  for (const kind of ['libs', 'services']) {
    for (const name of readdirSync(join(ROOT, kind))) {
      const to = join(directory, kind, name)
      cpSync(join(ROOT, kind, name), to, { recursive: true, filter: path => !/\/(src|node_modules)$/.test(path) })
      const { name: packageName } = JSON.parse(readFileSync(join(to, 'package.json'), 'utf8')) as { name: string }
      symlinkSync(to, join(modules, packageName))
    }
  }
  for (const { file, from, to } of CHANGES) {
    const text = readFileSync(join(directory, file), 'utf8')
    assert.equal(text.split(from).length, 2, `${file} says ${from} once`)
    writeFileSync(join(directory, file), text.replace(from, to))
  }
  return join(directory, 'services', 'cli', 'bin', 'strata.js')
}
