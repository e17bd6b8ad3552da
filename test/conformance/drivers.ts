// The drivers: what each client library is, how it is had, and what it cannot do.
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { peersCache } from '../peers/process.ts'
import type { Capability, DriverName } from './row.ts'

const run = promisify(execFile)
const INSTALL_TIMEOUT_MS = 900_000
/** An attempt that failed for want of what is outside the registries is not made again before. */
const RETRY_AFTER_MS = 24 * 3_600_000

export interface Prepared {
  readonly command: readonly string[]
  readonly environment: Readonly<Record<string, string>>
}

export interface DriverSpec {
  readonly name: DriverName
  /** What it cannot do, and why: rows that need it are excluded with that reason. */
  readonly lacks: Partial<Readonly<Record<Capability, string>>>
  /**
   * Fetches and builds it, once.
   * @param sources This folder's `drivers`.
   * @throws NotAtHand when its toolchain, or a part that no registry has, is missing.
   */
  readonly prepare: (sources: string) => Promise<Prepared>
}

/** The driver cannot be had on this machine; the message says what to install. */
export class NotAtHand extends Error {
  override readonly name = 'NotAtHand'
  /** It depends on what no registry has, so that no run can require it. */
  readonly cannotBeRequired: boolean

  constructor(message: string, options: { cannotBeRequired: boolean } = { cannotBeRequired: false }) {
    super(message)
    this.cannotBeRequired = options.cannotBeRequired
  }
}

const NOT_IN_PYTHON = 'the Python client has no such option'
const NOT_IN_GO = 'the Go client has no such option'
const NOT_IN_NODE = 'the Node client has no such option'

const python: DriverSpec = {
  name: 'python',
  lacks: {
    'ack-list': NOT_IN_PYTHON,
    'ack-receipt': NOT_IN_PYTHON,
    'active-events': NOT_IN_PYTHON,
    'auto-consume': NOT_IN_PYTHON,
    'entry-metadata': 'the Python client does not show broker entry metadata',
    'int32-schema': NOT_IN_PYTHON,
    'non-durable': NOT_IN_PYTHON,
    'pattern-discovery': 'the Python client does not pass its discovery period on: it looks every 60 s',
    priority: NOT_IN_PYTHON,
    'reached-end': NOT_IN_PYTHON,
    'reader-subscription': NOT_IN_PYTHON,
    'reader-time': NOT_IN_PYTHON,
    'retry-letter': NOT_IN_PYTHON,
    'subscription-properties': NOT_IN_PYTHON,
    transactions: 'the Python client has no transactions'
  },
  prepare: async sources => {
    const source = join(sources, 'python')
    await tool('python3', ['--version'], 'Python 3 with venv (Debian: python3 python3-venv)')
    const home = await built('python', [join(source, 'requirements.txt')], async into => {
      await install('python3', ['-m', 'venv', into])
      const pip = [join(into, 'bin/python'), '-m', 'pip', 'install', '-q', '--disable-pip-version-check'] as const
      await install(pip[0], [...pip.slice(1), '-r', join(source, 'requirements.txt')])
    })
    return { command: [join(home, 'bin/python'), join(source, 'driver.py')], environment: {} }
  }
}

const go: DriverSpec = {
  name: 'go',
  lacks: {
    'ack-timeout': 'the Go client has no ack timeout',
    'auto-consume': NOT_IN_GO,
    'dead-letter-default': 'the Go client asks for a dead-letter topic’s name',
    fencing: 'the Go client has no ExclusiveWithFencing',
    'initial-sequence-id': NOT_IN_GO,
    'int32-schema': NOT_IN_GO,
    priority: NOT_IN_GO,
    'reached-end': NOT_IN_GO,
    'reader-time': NOT_IN_GO,
    'redeliver-all': NOT_IN_GO
  },
  prepare: async sources => {
    const source = join(sources, 'go')
    await tool('go', ['version'], 'Go 1.24 or newer')
    const home = await built('go', await filesOf(source), async into => {
      await cp(source, into, { recursive: true })
      await install('go', ['build', '-o', 'driver', '.'], into)
    })
    return { command: [join(home, 'driver')], environment: {} }
  }
}

const java: DriverSpec = {
  name: 'java',
  lacks: {},
  prepare: sources => javaDriver('java', sources, [])
}

/** What leads an admin library or tool. */
interface AdminSpec extends Pick<DriverSpec, 'prepare'> {
  readonly name: string
}

/** It is apart from the client: each of the two published jars holds classes of the other. */
const javaAdmin: AdminSpec = {
  name: 'java',
  prepare: sources => javaDriver('java-admin', sources, [join(sources, 'java', 'Driver.java')])
}

/** `pulsar-admin` and `pulsar-client`. */
const cli: AdminSpec = {
  name: 'cli',
  prepare: sources => javaDriver('java-cli', sources, [join(sources, 'java', 'Driver.java')])
}

/** @param folder Of its sources and the `pom.xml` that names the library. @param shared Sources of others that it is built with. */
async function javaDriver(folder: string, sources: string, shared: readonly string[]): Promise<Prepared> {
  await tool('javac', ['-version'], 'a JDK of 17 or newer')
  await tool('mvn', ['--version'], 'Maven')
  const files = [...(await filesOf(join(sources, folder))), ...shared]
  const home = await built(folder, files, async into => {
    await cp(join(sources, folder), into, { recursive: true })
    const copy = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies'
    await install('mvn', ['-q', '-B', copy, '-DoutputDirectory=lib', '-DincludeScope=runtime'], into)
    const code = files.filter(name => name.endsWith('.java'))
    await install('javac', ['-nowarn', '-d', 'classes', '-cp', 'lib/*', ...code], into)
  })
  const options = ['-Xmx512m', '-XX:+UseSerialGC', '-Dorg.slf4j.simpleLogger.defaultLogLevel=error']
  return { command: ['java', ...options, '-cp', `${home}/classes:${home}/lib/*`, 'Main'], environment: {} }
}

const NODE_NEEDS =
  'its native part is a prebuilt binary outside the package registry, and it could not be had; without it, libpulsar and its headers (apache-pulsar-client-dev) are needed to build it'

const node: DriverSpec = {
  name: 'node',
  lacks: {
    'ack-list': NOT_IN_NODE,
    'ack-receipt': NOT_IN_NODE,
    'active-events': NOT_IN_NODE,
    'auto-consume': NOT_IN_NODE,
    avro: 'the Node client has no codec for Avro: it hands the bytes to the application',
    'dead-letter-default': 'the Node client asks for a dead-letter topic’s name',
    'entry-metadata': NOT_IN_NODE,
    inclusive: NOT_IN_NODE,
    'last-message-id': NOT_IN_NODE,
    'last-sequence-id': NOT_IN_NODE,
    logins: 'this driver does not tell the client who it is yet',
    'non-durable': NOT_IN_NODE,
    'pattern-discovery': 'the Node client has no such option: it looks every 60 s',
    priority: NOT_IN_NODE,
    'reached-end': NOT_IN_NODE,
    'reader-subscription': NOT_IN_NODE,
    'reader-time': NOT_IN_NODE,
    'redeliver-all': NOT_IN_NODE,
    'retry-letter': NOT_IN_NODE,
    'subscription-properties': NOT_IN_NODE,
    'table-view': NOT_IN_NODE,
    transactions: NOT_IN_NODE
  },
  prepare: async sources => {
    const source = join(sources, 'node')
    const failure = join(peersCache(), 'conformance', 'node.failed')
    if (await isYounger(failure, RETRY_AFTER_MS)) {
      throw new NotAtHand(`${NODE_NEEDS}; remove ${failure} to try again today`, { cannotBeRequired: true })
    }
    const home = await built('node', [join(source, 'package.json')], async into => {
      await cp(source, into, { recursive: true })
      await install('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error'], into)
    }).catch(async () => {
      await writeFile(failure, '')
      throw new NotAtHand(NODE_NEEDS, { cannotBeRequired: true })
    })
    await cp(join(source, 'driver.mjs'), join(home, 'driver.mjs'))
    return { command: [process.execPath, join(home, 'driver.mjs')], environment: {} }
  }
}

const strata: DriverSpec = {
  name: 'strata',
  lacks: {
    'auto-consume': 'our client hands schema and bytes to the application',
    avro: 'our client has no codec for Avro: it hands the bytes to the application',
    logins: 'our client finds topics by the binary protocol alone; its logins are tested with the broker’s',
    'reader-time': 'our reader starts at an id and seeks to a time',
    'table-view': 'our client has no table view',
    transactions: 'our client has no transactions'
  },
  prepare: () => {
    const driver = fileURLToPath(new URL('./strata-driver.js', import.meta.url))
    return Promise.resolve({ command: [process.execPath, driver], environment: {} })
  }
}

export const driverSpecs: readonly DriverSpec[] = [python, go, java, node, strata]

/** Drivers that lead an admin library besides, or nothing else. */
export const adminSpecs: readonly AdminSpec[] = [go, javaAdmin, cli]

async function tool(file: string, args: readonly string[], what: string): Promise<void> {
  try {
    await run(file, args, { timeout: 60_000 })
  } catch {
    throw new NotAtHand(`install ${what}`)
  }
}

async function install(file: string, args: readonly string[], cwd?: string): Promise<void> {
  await run(file, args, { timeout: INSTALL_TIMEOUT_MS, maxBuffer: 64 << 20, ...(cwd === undefined ? {} : { cwd }) })
}

async function filesOf(folder: string): Promise<string[]> {
  return (await readdir(folder)).sort().map(name => join(folder, name))
}

/**
 * A folder in the cache that `make` filled, made again only when one of `sources` changed. A virtual environment of Python and the like
 * hold their own path, so it is made in place and marked when it is whole.
 */
async function built(name: string, sources: readonly string[], make: (into: string) => Promise<void>): Promise<string> {
  const hash = createHash('sha256')
  for (const path of sources) hash.update(path.slice(path.lastIndexOf('/'))).update(await readFile(path))
  const parent = join(peersCache(), 'conformance')
  const home = join(parent, `${name}-${hash.digest('hex').slice(0, 12)}`)
  const mark = join(home, '.whole')
  if (await exists(mark)) return home
  await mkdir(parent, { recursive: true })
  await rm(home, { recursive: true, force: true })
  await make(home)
  await writeFile(mark, '')
  return home
}

async function isYounger(path: string, ageMs: number): Promise<boolean> {
  const found = await stat(path).catch(() => undefined)
  return found !== undefined && Date.now() - found.mtimeMs < ageMs
}

async function exists(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false
  )
}
