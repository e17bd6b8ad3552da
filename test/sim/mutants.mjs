// Known ways to break the protocol: patches of the built production code. Each names the rule that it breaks, the
// invariants that it may die by (see history.ts), and what it dies in: seeds, and plans in regressions/ where seeds seldom
// bring about what it takes. Every `from` must be found exactly once in its file.
import { nodeMutants } from './node-mutants.mjs'

/** As design documents name them: each must be broken by one mutant or more. */
export const RULES = [
  'append',
  'closed at L',
  'ensemble change',
  "a node's order",
  'recovery',
  'a node must not lie',
  'ambiguity',
  're-replication',
  'deletion',
  'storage'
]

const PROTOCOL = 'libs/ledger-protocol/dist/'
const CLIENT = 'libs/ledger-client/dist/'
const BOOKIE = 'services/bookie/dist/'
const METADATA = 'libs/metadata/dist/'

const protocolMutants = [
  {
    name: 'acknowledge at Qa - 1',
    rule: 'append',
    trials: [1],
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
    rule: 'append',
    trials: ['readers-of-an-open-ledger'],
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
    rule: 'append',
    trials: [9],
    edits: [
      {
        file: `${BOOKIE}journal/journal.js`,
        from: 'batch.noteReceipt(ledger, sink, request.entryId, request.lac);',
        to: 'batch.noteReceipt(ledger, sink, request.entryId, request.lac); setImmediate(() => sink.onAdded(request.ledgerId, request.entryId));'
      },
      {
        file: `${BOOKIE}journal/journal.js`,
        from: 'batch.noteReceipt(ledger, sink, stretch.entryIdAt(to - 1), lac);',
        to: 'batch.noteReceipt(ledger, sink, stretch.entryIdAt(to - 1), lac); setImmediate(() => sink.onAdded(ledger.ledgerId, stretch.entryIdAt(to - 1)));'
      }
    ],
    diesBy: ['node-keeps', 'node-no-lie']
  },
  {
    name: 'go on after a failed sync',
    rule: 'append',
    trials: [37],
    edits: [
      {
        file: `${BOOKIE}journal/journal.js`,
        from: 'if (error !== undefined) {\n            this.#fail(batch, error);',
        to: 'if (false) {\n            this.#fail(batch, error);'
      }
    ],
    diesBy: ['node-keeps', 'node-no-lie', 'starts']
  },
  {
    name: 'do not freeze the LAC during a change',
    rule: 'ensemble change',
    trials: [12],
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
    rule: 'ensemble change',
    trials: [40],
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
    rule: 'ensemble change',
    trials: [10],
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
    rule: 'ensemble change',
    trials: [4],
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
    rule: 'ensemble change',
    trials: ['change-that-metadata-does-not-take'],
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
    rule: 'ensemble change',
    trials: [4],
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
    rule: 'ensemble change',
    trials: [110],
    edits: [{ file: `${CLIENT}ledger-appender.js`, from: "if (committed === 'fenced')", to: 'if (false)' }],
    diesBy: ['quorum-acked', 'end-covers']
  },
  {
    name: 'propose a second change while one is undecided',
    rule: 'ensemble change',
    trials: [87],
    edits: [
      {
        file: `${PROTOCOL}ledger-writer.js`,
        from: "if (this.#state.kind !== 'writing' && this.#state.kind !== 'stalled')\n            return;\n        const leaving",
        to: 'const leaving'
      }
    ],
    diesBy: ['no-bug', 'state-moves', 'quorum-acked']
  },
  {
    name: 'send again with another LAC',
    rule: 'ensemble change',
    trials: [31],
    edits: [
      {
        file: `${PROTOCOL}ledger-writer.js`,
        from: 'this.#send(index, add); // W5',
        to: 'this.#send(index, { ...add, lac: this.#lac, crc32c: entryDigest({ ...add, lac: this.#lac }) });'
      }
    ],
    diesBy: ['one-content']
  },
  {
    name: 'answer a fence before the adds in front of it',
    rule: "a node's order",
    trials: ['fence-behind-slow-adds'],
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
    rule: "a node's order",
    trials: [44],
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
    rule: "a node's order",
    trials: [54],
    edits: [{ file: `${BOOKIE}index/rows.js`, from: 'fenced: ledger.isFenceSynced', to: 'fenced: false' }],
    diesBy: ['fence-holds', 'end-covers']
  },
  {
    name: 'forget fences when the journal is read again',
    rule: "a node's order",
    trials: ['fences-of-the-journal-alone'],
    edits: [{ file: `${BOOKIE}recovery.js`, from: 'ledger.isFenced = true;', to: '' }],
    diesBy: ['fence-holds', 'end-covers']
  },
  {
    name: 'take adds of a fenced ledger',
    rule: "a node's order",
    trials: [2],
    edits: [
      {
        file: `${BOOKIE}storage-node.js`,
        from: 'if (ledger.isFenced && (!request.recovery || ledger.isDeleted))',
        to: 'if (false)'
      }
    ],
    diesBy: ['fence-holds', 'end-covers']
  },
  {
    name: 'keep no fence of a ledger that was never seen',
    rule: "a node's order",
    trials: [61],
    edits: [
      {
        file: `${BOOKIE}storage-node.js`,
        from: 'if (ledger.isFenceSynced && ledger.pendingRecords === 0)\n            return;',
        to: 'if (ledger.lastEntry < 0 && ledger.pendingRecords === 0) { ledger.isFenced = false; return; }\n        if (ledger.isFenceSynced && ledger.pendingRecords === 0)\n            return;'
      }
    ],
    diesBy: ['fence-holds', 'end-covers']
  },
  // Beginning to read when too few nodes are fenced is none: all are asked to at once, and every read fences as well.
  {
    name: 'read without fencing',
    rule: 'recovery',
    trials: [2],
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
    rule: 'recovery',
    trials: ['lost-volume-and-a-node-without-copies'],
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
    rule: 'recovery',
    trials: ['silent-node-of-three#2'],
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
    name: 'wait for ever for a node that is silent',
    rule: 'recovery',
    trials: ['silent-node-of-three'],
    edits: [
      {
        file: `${CLIENT}recover-ledger.js`,
        from: 'if (error instanceof CodedError)\n                recovery.onUnreachable(bookie);',
        to: 'if (error instanceof CodedError) return;'
      }
    ],
    diesBy: ['liveness']
  },
  {
    name: 'let one node say that an entry is absent',
    rule: 'recovery',
    trials: ['acknowledged-by-two-of-three'],
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
    rule: 'recovery',
    trials: [4],
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
    rule: 'recovery',
    trials: [2],
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
    name: 'begin one entry behind the LAC',
    rule: 'recovery',
    trials: [3],
    edits: [
      {
        file: `${PROTOCOL}ledger-recovery.js`,
        from: 'if (lac > this.#confirmed)\n            this.#confirmed = lac;',
        to: 'if (lac + 1 > this.#confirmed) this.#confirmed = entryId(lac + 1);'
      }
    ],
    diesBy: ['closed-copies', 'liveness', 'acked-kept']
  },
  {
    name: 'name the nodes that a recoverer brings in before the end is known',
    rule: 'recovery',
    trials: [55],
    edits: [
      {
        file: `${CLIENT}recover-ledger.js`,
        from: 'if ((await doors.metadata.close(id, taken, found)) !== undefined)',
        to: 'const early = await doors.metadata.replace(id, taken, { ...taken.record, ensembles: found.ensembles }); if (early !== undefined && (await doors.metadata.close(id, early, found)) !== undefined)'
      }
    ],
    diesBy: ['state-moves']
  },
  {
    name: 'close without looking who was faster',
    rule: 'recovery',
    trials: ['two-recoverers-of-one-copy'],
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
    rule: 'recovery',
    trials: [3],
    edits: [
      { file: `${CLIENT}ledger-metadata.js`, from: 'compares: [{ key, version }, ...guards],', to: 'compares: [],' }
    ],
    diesBy: ['one-end', 'state-moves', 'end-covers', 'quorum-acked']
  },
  // ------------------------------------------------------------ beside writer, recovery and nodes
  {
    name: 'take an answer that is not one for a yes',
    rule: 'ambiguity',
    trials: ['change-that-metadata-does-not-take'],
    edits: [
      {
        file: `${METADATA}update-record.js`,
        from: 'return untilAnswered(() => store.transact(named), options);',
        to: 'return store.transact(named).catch(() => ({ committed: true, revision: Number.MAX_SAFE_INTEGER }));'
      }
    ],
    diesBy: ['quorum-acked', 'one-end', 'end-covers', 'liveness', 'state-moves', 'no-bug', 'acked-kept', 'starts']
  },
  {
    name: 'let one node tell a reader that an entry is absent',
    rule: 'closed at L',
    trials: ['denied-by-one-of-two'],
    edits: [
      {
        file: `${PROTOCOL}read-plan.js`,
        from: 'const misses = [...this.#misses.values()];',
        to: "const misses = [...this.#misses.values()]; if (misses.includes('absent')) return 'NO_SUCH_ENTRY';"
      }
    ],
    diesBy: ['acked-kept']
  },
  {
    name: 'compare no checksum',
    rule: 'append',
    trials: ['rot-under-readers'],
    edits: [
      {
        file: `${PROTOCOL}entry-digest.js`,
        from: 'return entryDigest(fields) === fields.crc32c;',
        to: 'return true;'
      }
    ],
    diesBy: ['one-content']
  }
]

export const mutants = [...protocolMutants, ...nodeMutants]
