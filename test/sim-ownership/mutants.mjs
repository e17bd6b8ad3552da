// Known ways to break the rules of ownership, as patches of built code: each must die by a promise that it names.
const OWNERSHIP = 'broker/dist/ownership/'
const SIM = 'test/dist/sim-ownership/'

export const mutants = [
  {
    name: 'open a log without the guard of its bundle',
    edits: [{ file: `${SIM}sim-topics.js`, from: 'guard === undefined ? [] : [guard]', to: '[]' }],
    diesBy: ['guarded', 'successor']
  },
  {
    name: 'take a bundle without comparing its row',
    edits: [
      {
        file: `${OWNERSHIP}owner-writer.js`,
        from: '{ key: ownershipKeys.owner(local.key), version: known?.version ?? 0 }, registry.ownCompare',
        to: 'registry.ownCompare'
      }
    ],
    diesBy: ['undisturbed', 'guarded']
  },
  {
    name: 'take a bundle without comparing the own registration',
    edits: [
      {
        file: `${OWNERSHIP}owner-writer.js`,
        from: 'version: known?.version ?? 0 }, registry.ownCompare]',
        to: 'version: known?.version ?? 0 }]'
      }
    ],
    diesBy: ['registered']
  },
  {
    name: 'take a bundle without comparing that its owner is gone',
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
    edits: [{ file: `${OWNERSHIP}transactions.js`, from: '...(division?.compares ?? [])', to: '' }],
    diesBy: ['guarded']
  },
  {
    name: 'go on without a lease whatever peers say',
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
    edits: [{ file: `${OWNERSHIP}registration.js`, from: 'lease.onLost(() => this.#onLost(lease));', to: '' }],
    diesBy: ['served', 'suspended', 'undisturbed']
  },
  {
    name: 'stay suspended when the lease is back',
    edits: [{ file: `${OWNERSHIP}membership.js`, from: 'if (this.#holdings.keptCount === 0)', to: 'if (false)' }],
    diesBy: ['served']
  },
  {
    name: 'keep the topics of a bundle that is lost',
    edits: [{ file: `${OWNERSHIP}holdings.js`, from: 'this.#guardTopics(local, standing);', to: '' }],
    diesBy: ['single', 'served', 'no-bug']
  },
  {
    name: 'use a bundle while its topics are closing',
    edits: [
      {
        file: `${OWNERSHIP}holdings.js`,
        from: "if (local.topics !== 'open' || local.move !== undefined || local.isObsolete)",
        to: 'if (local.isObsolete)'
      }
    ],
    diesBy: ['guarded', 'successor', 'served', 'no-bug']
  },
  {
    name: 'declare a broker dead on one word of many',
    edits: [
      { file: `${OWNERSHIP}suspicions.js`, from: '>= BROKERS_FOR_TWO ? 2 : 1', to: '>= BROKERS_FOR_TWO ? 1 : 1' }
    ],
    diesBy: ['two-words']
  },
  {
    name: 'never declare a broker dead',
    edits: [{ file: `${OWNERSHIP}suspicions.js`, from: 'else if (this.#isEnough(suspect))', to: 'else if (false)' }],
    diesBy: ['quick']
  },
  {
    name: 'register again under the same name',
    edits: [{ file: `${SIM}sim-broker.js`, from: '${++this.#registrations}', to: '1' }],
    diesBy: ['served', 'undisturbed', 'guarded', 'no-bug']
  },
  {
    name: 'let go before the topics are closed',
    edits: [{ file: `${OWNERSHIP}holdings.js`, from: "move.phase = 'closing';", to: "move.phase = 'closed';" }],
    diesBy: ['successor', 'guarded', 'single', 'no-bug']
  },
  {
    name: 'believe an answer that is older than the watch',
    edits: [
      {
        file: `${OWNERSHIP}owner-table.js`,
        from: "source === 'answer' && version <= this.#watchedVersion",
        to: 'false'
      }
    ],
    diesBy: ['served', 'undisturbed']
  }
]
