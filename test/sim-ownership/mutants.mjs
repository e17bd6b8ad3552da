// Known ways to break the rules of ownership, as patches of built code: each must die by a promise that it names.
// `needs`: only runs with one of these faults are tried, as no other can tell.
const OWNERSHIP = 'broker/dist/ownership/'
const SIM = 'test/dist/sim-ownership/'
const LOGS = 'managed-ledger/dist/'

export const mutants = [
  {
    name: 'open a log without the guard of its bundle',
    needs: ['pause-opening'],
    edits: [{ file: `${SIM}sim-topics.js`, from: 'guard === undefined ? [] : [guard]', to: '[]' }],
    diesBy: ['guarded', 'successor']
  },
  {
    name: 'change a log without comparing the epoch that its owner raised',
    needs: ['pause', 'cut', 'pause-opening'],
    edits: [
      {
        file: `${LOGS}log-session.js`,
        from: 'compares: [{ key, version: this.#version }], changes',
        to: 'compares: [], changes'
      },
      {
        file: `${LOGS}log-session.js`,
        from: 'const compares = [{ key: own, version: this.#version }, ...birth.compares];',
        to: 'const compares = [...birth.compares];'
      }
    ],
    diesBy: ['successor']
  },
  {
    name: 'take a bundle without comparing its row',
    needs: ['kill', 'pause', 'cut'],
    edits: [
      {
        file: `${OWNERSHIP}owner-writer.js`,
        from: '{ key: ownershipKeys.owner(local.key), version: this.#versionOf(local) }, registry.ownCompare',
        to: 'registry.ownCompare'
      }
    ],
    diesBy: ['undisturbed', 'guarded']
  },
  {
    name: 'take a bundle without comparing that its owner is gone',
    needs: ['unload'],
    edits: [
      {
        file: `${OWNERSHIP}owner-writer.js`,
        from: 'compares.push({ key: ownershipKeys.broker(former), version: 0 })',
        to: ''
      },
      {
        file: `${OWNERSHIP}owner-table.js`,
        from: "if (owner !== '' && isAlive(owner)) {",
        to: "if (owner !== '' && isAlive(owner) && Math.trunc(nowMs) % 7 !== 0) {"
      }
    ],
    diesBy: ['undisturbed']
  },
  {
    name: 'take a bundle without comparing that the namespace has it',
    needs: ['split'],
    edits: [{ file: `${OWNERSHIP}transactions.js`, from: '...(division?.compares ?? [])', to: '' }],
    diesBy: ['guarded']
  },
  {
    name: 'merge two bundles without comparing how the namespace is divided',
    needs: ['merge'],
    edits: [
      { file: `${OWNERSHIP}owner-writer.js`, from: 'registry.ownCompare, ...compares]', to: 'registry.ownCompare]' }
    ],
    diesBy: ['guarded', 'served', 'undisturbed']
  },
  {
    name: 'merge two bundles and leave the row of one',
    needs: ['merge'],
    edits: [
      {
        file: `${OWNERSHIP}owner-writer.js`,
        from: "...locals.map(({ key }) => ({ kind: 'delete'",
        to: "...locals.slice(0, 1).map(({ key }) => ({ kind: 'delete'"
      }
    ],
    diesBy: ['guarded']
  },
  {
    name: 'merge a bundle with one that another broker holds',
    needs: ['merge'],
    edits: [
      { file: `${OWNERSHIP}holdings.js`, from: 'locals.every(each => this.#isUsable(each))', to: 'true' },
      {
        file: `${OWNERSHIP}holdings.js`,
        from: 'const locals = bundles.flatMap(bundle => this.#locals.get(bundle.toString()) ?? []);',
        to: 'const locals = bundles.map(bundle => this.#local(bundle));'
      },
      { file: `${SIM}world.js`, from: 'if (owner !== undefined)', to: 'if (false)' }
    ],
    diesBy: ['undisturbed', 'guarded']
  },
  {
    name: 'go on without a lease whatever peers say',
    needs: ['cut'],
    edits: [
      {
        file: `${OWNERSHIP}membership.js`,
        from: 'this.#suspend(someoneReaches || allAreSilent)',
        to: 'this.#suspend(false)'
      }
    ],
    diesBy: ['suspended']
  },
  {
    name: 'never notice that the lease is lost',
    needs: ['cut'],
    edits: [{ file: `${OWNERSHIP}registration.js`, from: 'lease.onLost(() => this.#onLost(lease));', to: '' }],
    diesBy: ['served', 'suspended', 'undisturbed']
  },
  {
    name: 'stay suspended when the lease is back',
    needs: ['cut'],
    edits: [{ file: `${OWNERSHIP}membership.js`, from: 'if (this.#holdings.keptCount === 0)', to: 'if (false)' }],
    diesBy: ['served']
  },
  {
    name: 'keep the topics of a bundle that is lost',
    needs: ['cut', 'pause'],
    edits: [{ file: `${OWNERSHIP}holdings.js`, from: 'this.#guardTopics(local, standing);', to: '' }],
    diesBy: ['single', 'served', 'no-bug']
  },
  {
    name: 'declare a broker dead on one word of many',
    needs: ['misjudge', 'condemn'],
    edits: [
      { file: `${OWNERSHIP}suspicions.js`, from: '>= BROKERS_FOR_TWO ? 2 : 1', to: '>= BROKERS_FOR_TWO ? 1 : 1' }
    ],
    diesBy: ['two-words']
  },
  {
    name: 'never declare a broker dead',
    needs: ['kill'],
    edits: [{ file: `${OWNERSHIP}suspicions.js`, from: 'else if (this.#isEnough(suspect))', to: 'else if (false)' }],
    diesBy: ['quick']
  },
  {
    name: 'register again under the same name',
    needs: ['expire', 'cut', 'misjudge'],
    edits: [{ file: `${SIM}sim-broker.js`, from: '${++this.#registrations}', to: '1' }],
    diesBy: ['served', 'undisturbed', 'guarded', 'no-bug']
  },
  {
    name: 'let go before the topics are closed',
    needs: ['unload'],
    edits: [
      {
        file: `${OWNERSHIP}holdings.js`,
        from: "move.phase = 'closing';\n        move.untilMs = nowMs + HANDOVER_MS;",
        to: "move.phase = 'closed';\n        move.untilMs = nowMs;"
      }
    ],
    diesBy: ['single']
  },
  {
    name: 'keep what it has when it alone does not reach storage',
    needs: ['storage-lost'],
    edits: [{ file: `${OWNERSHIP}storage-watch.js`, from: "=== 'give-up'", to: "=== 'never'" }],
    diesBy: ['stranded']
  },
  {
    name: 'give up bundles that nobody else can store anything for',
    needs: ['storage-lost'],
    edits: [{ file: `${OWNERSHIP}storage-reach.js`, from: " || !answers.includes('reaches')", to: '' }],
    diesBy: ['undisturbed']
  },
  {
    name: 'close topics by storage that is out of reach before they go',
    needs: ['storage-lost'],
    edits: [{ file: `${OWNERSHIP}cluster-ownership.js`, from: ' && !effect.isAbrupt', to: '' }],
    diesBy: ['stranded']
  }
]
