// Turns the schemas under proto/ into TypeScript, beside the code that uses it:
//   proto/pulsar/*.proto            -> libs/wire/src/generated
//   proto/ledger/*.proto            -> libs/ledger-client/src/generated
//   proto/etcd/*.proto              -> libs/metadata/src/generated
//   proto/storage/<package>.proto   -> libs/<package> or services/<package>, src/generated
//   proto/storage/broker.proto      -> services/proxy/src/generated as well: services do not import each other
// The output is committed, so that a build needs neither buf nor a plugin. `--check` writes nothing and fails where the
// committed output is not what the schemas give.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..')
const check = process.argv.includes('--check')
const scratch = mkdtempSync(join(tmpdir(), 'strata-generate-'))

try {
  const stale = targets().flatMap(target => generate(target))
  if (check && stale.length > 0) {
    console.error(`generated code differs from its schema; run \`npm run generate\`:\n  ${stale.join('\n  ')}`)
    process.exitCode = 1
  }
} finally {
  rmSync(scratch, { recursive: true, force: true })
}

/** One target a package that receives code: the directory of its schemas, the files to take, and where they go. */
function targets() {
  const found = [
    { input: 'proto/pulsar', output: 'libs/wire/src/generated' },
    { input: 'proto/ledger', output: 'libs/ledger-client/src/generated' },
    { input: 'proto/etcd', output: 'libs/metadata/src/generated' }
  ].map(target => ({ ...target, files: protosOf(target.input) }))
  for (const file of protosOf('proto/storage')) {
    const name = basename(file, '.proto')
    const home = ['libs', 'services'].map(group => join(group, name)).find(path => existsSync(join(root, path)))
    if (home === undefined) throw new Error(`proto/storage/${file}: there is no package called ${name}`)
    found.push({ input: 'proto/storage', output: join(home, 'src/generated'), files: [file] })
  }
  found.push({ input: 'proto/storage', output: 'services/proxy/src/generated', files: ['broker.proto'] })
  return found.filter(target => target.files.length > 0)
}

function protosOf(directory) {
  const path = join(root, directory)
  if (!existsSync(path)) return []
  return readdirSync(path)
    .filter(name => name.endsWith('.proto'))
    .sort()
}

/** Returns the paths whose committed content is not the generated one (all are rewritten unless checking). */
function generate({ input, output, files }) {
  const out = mkdtempSync(join(scratch, 'out-'))
  const template = {
    version: 'v2',
    plugins: [
      {
        local: [process.execPath, bin('protoc-gen-es')],
        out,
        opt: ['target=ts', 'import_extension=ts', 'ts_nocheck=false']
      }
    ]
  }
  const paths = files.flatMap(file => ['--path', join(input, file)])
  execFileSync(bin('buf'), ['generate', input, '--template', JSON.stringify(template), ...paths], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit']
  })
  return readdirSync(out)
    .sort()
    .map(name => {
      const path = join(root, output, name)
      const text = erasable(readFileSync(join(out, name), 'utf8'))
      if (existsSync(path) && readFileSync(path, 'utf8') === text) return undefined
      if (!check) {
        mkdirSync(dirname(path), { recursive: true })
        writeFileSync(path, text)
      }
      return relative(root, path)
    })
    .filter(path => path !== undefined)
}

function bin(name) {
  return join(root, 'node_modules', '.bin', name)
}

/** The plugin writes TypeScript enums, which cannot be erased: each becomes a frozen table and the union of its values. */
function erasable(text) {
  return text.replace(/^export enum (\w+) \{\n([\s\S]*?)^\}/gm, (_, name, body) => {
    const entries = body.replace(/^(\s*\w+) = (-?\d+),$/gm, '$1: $2,')
    return [
      `export const ${name} = {\n${entries}} as const;`,
      '',
      `export type ${name} = (typeof ${name})[keyof typeof ${name}];`
    ].join('\n')
  })
}
