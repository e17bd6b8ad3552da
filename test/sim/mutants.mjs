// Known ways to break the protocol: patches of the built production code, each with the rule it breaks and the invariants
// it may die by (see history.ts). Every `from` must be found exactly once in its file.
import { nodeMutants } from './node-mutants.mjs'

const PROTOCOL = 'libs/ledger-protocol/dist/'
const CLIENT = 'libs/ledger-client/dist/'
const BOOKIE = 'services/bookie/dist/'

const protocolMutants = [
  // ------------------------------------------------------------ durable before acknowledged, in order
  {
    name: 'acknowledge at Qa - 1',
    seeds: [1],
    edits: [
      { file: `${PROTOCOL}ledger-writer.js`, from: 'if (copies >= ackQuorum)', to: 'if (copies >= ackQuorum - 1)' },
      {
        file: `${PROTOCOL}ledger-writer.js`,
        from: 'return copies >= ackQuorum; // W2',
        to: 'return copies >= ackQuorum - 1;'
      }
    ],
    diesBy: ['quorum-acked']
  },
  {
    name: 'tell nodes a LAC that is not confirmed',
    seeds: [1],
    edits: [
      {
        file: `${PROTOCOL}ledger-writer.js`,
        from: 'lac: this.#lac,\n            lengthBytes',
        to: 'lac: id - 1,\n            lengthBytes'
      }
    ],
    diesBy: ['shown-confirmed', 'acked-kept', 'liveness', 'end-covers']
  },
  {
    name: 'acknowledge before the sync',
    seeds: [14],
    edits: [
      {
        file: `${BOOKIE}journal/journal.js`,
        from: 'batch.noteReceipt(ledger, sink, request.entryId, request.lac);',
        to: 'batch.noteReceipt(ledger, sink, request.entryId, request.lac); setImmediate(() => sink.onAdded(request.ledgerId, request.entryId));'
      }
    ],
    diesBy: ['node-keeps', 'node-no-lie']
  },
  {
    name: 'go on after a failed sync',
    seeds: [14],
    edits: [
      {
        file: `${BOOKIE}journal/journal.js`,
        from: 'if (error !== undefined) {\n            this.#fail(batch, error);',
        to: 'if (false) {\n            this.#fail(batch, error);'
      }
    ],
    diesBy: ['node-keeps', 'node-no-lie', 'starts']
  },
  // ------------------------------------------------------------ ensemble change
  {
    name: 'do not freeze the LAC during a change',
    seeds: [14],
    edits: [
      {
        file: `${PROTOCOL}ledger-writer.js`,
        from: "if (this.#state.kind !== 'writing')\n            return; // W3, W4",
        to: "if (this.#state.kind === 'failed' || this.#state.kind === 'finished') return;"
      }
    ],
    diesBy: ['state-moves', 'quorum-acked', 'end-covers', 'acked-kept']
  },
  {
    name: 'confirm behind the failure',
    seeds: [72],
    edits: [
      {
        file: `${PROTOCOL}ledger-writer.js`,
        from: "if (this.#state.kind !== 'writing')\n            return; // W3, W4",
        to: ''
      }
    ],
    diesBy: ['ordered-acks']
  },
  {
    name: 'count the confirmations of a replaced node',
    seeds: [83],
    edits: [
      {
        file: `${PROTOCOL}ledger-writer.js`,
        from: 'trial: before.nextTrial }); // W6',
        to: 'trial: before.nextTrial }); this.#members[index].ackedThrough = before.ackedThrough;'
      }
    ],
    diesBy: ['quorum-acked']
  },
  {
    name: 'do not send again to the new node',
    seeds: [5],
    edits: [
      {
        file: `${PROTOCOL}ledger-writer.js`,
        from: 'this.#resend(new Set(replacements.map(({ index }) => index)));',
        to: ''
      }
    ],
    diesBy: ['quorum-acked', 'liveness']
  },
  {
    name: 'send to the new node before the change is committed',
    seeds: [36],
    edits: [
      {
        file: `${CLIENT}ledger-appender.js`,
        from: 'const committed = await this.#metadata.changeEnsemble({ firstEntryId, bookies });',
        to: "const committed = 'committed'; void this.#metadata.changeEnsemble({ firstEntryId, bookies });"
      }
    ],
    diesBy: ['quorum-acked', 'end-covers']
  },
  {
    name: 'begin the new ensemble one entry late',
    seeds: [4],
    edits: [
      {
        file: `${PROTOCOL}ledger-writer.js`,
        from: 'const change = { firstEntryId: entryId(this.#lac + 1)',
        to: 'const change = { firstEntryId: entryId(this.#lac + 2)'
      }
    ],
    diesBy: ['quorum-acked', 'acked-kept', 'no-bug']
  },
  {
    name: 'go on after a change that was refused',
    seeds: [83],
    edits: [{ file: `${CLIENT}ledger-appender.js`, from: "if (committed === 'fenced')", to: 'if (false)' }],
    diesBy: ['quorum-acked', 'end-covers']
  },
  {
    name: 'send again with another LAC',
    seeds: [68],
    edits: [
      {
        file: `${PROTOCOL}ledger-writer.js`,
        from: 'this.#send(index, add); // W5',
        to: 'this.#send(index, { ...add, lac: this.#lac, crc32c: entryDigest({ ...add, lac: this.#lac }) });'
      }
    ],
    diesBy: ['one-content']
  },
  // ------------------------------------------------------------ a node's order
  {
    name: 'answer a fence before the adds in front of it',
    seeds: [2],
    edits: [
      {
        file: `${BOOKIE}storage-node.js`,
        from: 'if (ledger.isFenceSynced && ledger.pendingRecords === 0)',
        to: 'if (true)'
      }
    ],
    diesBy: ['fence-holds', 'end-covers']
  },
  {
    name: 'answer a second fence before the first is synced',
    seeds: [41],
    edits: [
      {
        file: `${BOOKIE}storage-node.js`,
        from: 'ledger.isFenced = true;',
        to: 'if (ledger.isFenced) return;\n        ledger.isFenced = true;'
      }
    ],
    diesBy: ['fence-holds', 'end-covers']
  },
  {
    name: 'keep no fence in the index',
    seeds: [47],
    edits: [{ file: `${BOOKIE}index/rows.js`, from: 'fenced: ledger.isFenceSynced', to: 'fenced: false' }],
    diesBy: ['fence-holds', 'end-covers']
  },
  {
    name: 'forget fences when the journal is read again',
    seeds: [96],
    edits: [{ file: `${BOOKIE}recovery.js`, from: 'ledger.isFenced = true;', to: '' }],
    diesBy: ['fence-holds', 'end-covers']
  },
  {
    name: 'take adds of a fenced ledger',
    seeds: [2],
    edits: [
      {
        file: `${BOOKIE}storage-node.js`,
        from: 'if (ledger.isFenced && (!request.recovery || ledger.isDeleted))',
        to: 'if (false)'
      }
    ],
    diesBy: ['fence-holds', 'end-covers']
  },
  // ------------------------------------------------------------ recovery
  // Beginning to read when too few nodes are fenced is none: all are asked to at once, and every read fences as well.
  {
    name: 'read without fencing',
    seeds: [2],
    edits: [
      {
        file: `${CLIENT}recover-ledger.js`,
        from: 'node.readLac({ ledgerId: id, fence: true })',
        to: 'node.readLac({ ledgerId: id, fence: false })'
      },
      { file: `${CLIENT}recover-ledger.js`, from: '...limits, fence: true })', to: '...limits, fence: false })' }
    ],
    diesBy: ['end-covers', 'one-end']
  },
  {
    name: 'accept unknown as absent',
    seeds: [78],
    edits: [
      {
        file: `${PROTOCOL}ledger-recovery.js`,
        from: 'this.#stand(bookie, entryId(next), answer.end);',
        to: "this.#stand(bookie, entryId(next), 'absent');"
      }
    ],
    diesBy: ['end-covers']
  },
  {
    name: 'accept silence as absent',
    seeds: [2],
    edits: [
      {
        file: `${PROTOCOL}ledger-recovery.js`,
        from: "const absent = members.filter(bookie => slot.standings.get(bookie) === 'absent');",
        to: "const absent = members.filter(bookie => slot.standings.get(bookie) === 'absent' || this.#unreachable.has(bookie));"
      }
    ],
    diesBy: ['end-covers']
  },
  {
    name: 'let one node say that an entry is absent',
    edits: [
      {
        file: `${PROTOCOL}ledger-recovery.js`,
        from: 'absent.length >= blockingQuorum(quorum) && !isConfirmed',
        to: 'absent.length >= 1 && !isConfirmed'
      }
    ],
    diesBy: ['end-covers']
  },
  {
    name: 'end before a confirmed entry that is absent',
    seeds: [1],
    edits: [
      {
        file: `${PROTOCOL}ledger-recovery.js`,
        from: 'const isConfirmed = slot.id <= this.#confirmed; // R4',
        to: 'const isConfirmed = false;'
      },
      {
        file: `${PROTOCOL}ledger-recovery.js`,
        from: 'absent.length >= blockingQuorum(quorum) && !isConfirmed',
        to: 'absent.length >= 1 && !isConfirmed'
      },
      {
        file: `${BOOKIE}storage-node.js`,
        from: "end: end === 'missing' && this.#hasAuthority(ledger) ? 'absent' : 'unknown'",
        to: "end: 'absent'"
      }
    ],
    diesBy: ['end-covers', 'node-no-lie']
  },
  {
    name: 'do not write back what is found',
    seeds: [1],
    edits: [
      { file: `${PROTOCOL}ledger-recovery.js`, from: '.length >= this.#ledger.quorum.ackQuorum;', to: '.length >= 1;' },
      {
        file: `${PROTOCOL}ledger-recovery.js`,
        from: '.length + open.length >= ackQuorum)',
        to: '.length + open.length >= 1)'
      }
    ],
    diesBy: ['closed-copies', 'acked-kept', 'end-covers']
  },
  {
    name: 'close without looking who was faster',
    edits: [
      {
        file: `${CLIENT}recover-ledger.js`,
        from: 'if ((await doors.metadata.close(id, taken, found)) !== undefined)',
        to: 'await doors.metadata.close(id, taken, found);'
      }
    ],
    diesBy: ['one-end', 'state-moves']
  },
  {
    name: 'change metadata without comparing',
    seeds: [20],
    edits: [
      { file: `${CLIENT}ledger-metadata.js`, from: 'compares: [{ key, version }, ...guards],', to: 'compares: [],' }
    ],
    diesBy: ['one-end', 'state-moves', 'end-covers', 'quorum-acked']
  }
]

export const mutants = [...protocolMutants, ...nodeMutants]
