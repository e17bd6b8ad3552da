// Known ways to break the protocol: patches of the built production code, each with the rule it breaks and the invariants
// it may die by (see history.ts). Every `from` must be found exactly once in its file.
const PROTOCOL = 'libs/ledger-protocol/dist/'
const CLIENT = 'libs/ledger-client/dist/'
const BOOKIE = 'services/bookie/dist/'

export const mutants = [
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
    edits: [
      { file: `${PROTOCOL}ledger-recovery.js`, from: '.length >= this.#ledger.quorum.ackQuorum;', to: '.length >= 1;' },
      {
        file: `${PROTOCOL}ledger-recovery.js`,
        from: '.length + open.length >= ackQuorum)',
        to: '.length + open.length >= 1)'
      }
    ],
    diesBy: ['acked-kept', 'end-covers']
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
  },
  // ------------------------------------------------------------ a node must not lie
  {
    name: 'trust a volume that was rolled back or lost',
    edits: [
      {
        file: `${BOOKIE}volume/volume.js`,
        from: 'const unknownBelow = isOurs || isFresh ? 0 :',
        to: 'const unknownBelow = true ? 0 :'
      }
    ],
    diesBy: ['node-no-lie', 'end-covers']
  },
  {
    name: 'do not notice a volume that was rolled back within a run',
    edits: [
      {
        file: `${BOOKIE}open-bookie.js`,
        from: 'const isBehind = isCounted && volume.isBehind(sequence);',
        to: 'const isBehind = false;'
      }
    ],
    diesBy: ['node-no-lie', 'fence-holds', 'end-covers']
  },
  {
    name: 'prove nothing when the journal is idle',
    edits: [{ file: `${BOOKIE}housekeeper.js`, from: 'journal.markIfIdle();', to: ';' }],
    diesBy: ['node-no-lie', 'fence-holds']
  },
  {
    name: 'a node without authority takes plain adds',
    edits: [
      {
        file: `${BOOKIE}storage-node.js`,
        from: 'if (!request.recovery && !this.#hasAuthority(ledger))',
        to: 'if (false)'
      }
    ],
    diesBy: ['fence-holds', 'end-covers']
  },
  {
    name: 'go on with ids from before a node lost its disk',
    edits: [
      { file: `${CLIENT}ledger-metadata.js`, from: 'guards: guard === undefined ? [] : [guard]', to: 'guards: []' }
    ],
    diesBy: ['liveness']
  },
  {
    name: 'give out ids that another process has',
    edits: [
      {
        file: `${CLIENT}ledger-ids.js`,
        from: 'encodeNextLedgerId(first + BLOCK_IDS)',
        to: 'encodeNextLedgerId(first + 1)'
      }
    ],
    diesBy: ['no-bug']
  },
  {
    name: 'take a torn tail for damage',
    edits: [
      {
        file: `${BOOKIE}journal/replay.js`,
        from: 'if (this.#proven > this.#sequence)\n                damaged(path, end);',
        to: 'damaged(path, end);'
      }
    ],
    diesBy: ['starts']
  },
  {
    name: 'trust a volume that lacks a directory',
    edits: [
      {
        file: `${BOOKIE}volume/volume.js`,
        from: 'const isOurs = isWhole && isCurrent(present, registration)',
        to: 'const isOurs = present.length > 0 && isCurrent(present, registration)'
      }
    ],
    diesBy: ['node-no-lie', 'end-covers']
  },
  {
    name: 'say absent where the index cannot be asked',
    edits: [
      {
        file: `${BOOKIE}storage-node.js`,
        from: "return { entries: [], end: 'unknown' };",
        to: "return { entries: [], end: 'absent' };"
      }
    ],
    diesBy: ['node-no-lie']
  },
  {
    name: 'say absent where an entry cannot be read',
    edits: [
      {
        file: `${BOOKIE}storage-node.js`,
        from: "end: end === 'missing' && this.#hasAuthority(ledger) ? 'absent' : 'unknown'",
        to: "end: this.#hasAuthority(ledger) ? 'absent' : 'unknown'"
      }
    ],
    diesBy: ['node-no-lie']
  },
  // ------------------------------------------------------------ storage
  {
    name: 'drop a journal file with live entries',
    edits: [
      {
        file: `${BOOKIE}storage/relocator.js`,
        from: 'return location?.file === source && location.offset === from;',
        to: 'return false;'
      }
    ],
    diesBy: ['node-keeps', 'acked-kept', 'node-no-lie']
  },
  {
    name: 'drop a file before the index is synced',
    edits: [
      {
        file: `${BOOKIE}storage/relocator.js`,
        from: 'await edit.commit({ sync: true });',
        to: 'await edit.commit({ sync: false });'
      }
    ],
    diesBy: ['node-keeps', 'starts']
  },
  {
    name: 'do not sync an entry log',
    edits: [{ file: `${BOOKIE}storage/entry-log-writer.js`, from: 'await this.#file.sync();', to: '' }],
    diesBy: ['node-keeps', 'starts']
  },
  {
    name: 'do not sync the directory of an entry log',
    edits: [
      { file: `${BOOKIE}storage/entry-log-writer.js`, from: 'await this.#disk.syncDirectory(this.#directory);', to: '' }
    ],
    diesBy: ['node-keeps', 'starts']
  },
  // ------------------------------------------------------------ the care for copies
  {
    name: 'name a replacement before it has everything',
    edits: [
      {
        file: `${BOOKIE}auditor/ledger-repair.js`,
        from: 'const result = await this.#copy(task, task.to, part);',
        to: "const result = task.to === task.member ? await this.#copy(task, task.to, part) : { kind: 'copied' };"
      },
      { file: `${BOOKIE}auditor/ledger-repair.js`, from: 'if (lacking.some(', to: 'if (false && lacking.some(' }
    ],
    diesBy: ['repair-proved']
  },
  {
    name: 'do not ask what members have',
    edits: [
      {
        file: `${BOOKIE}auditor/survey.js`,
        from: 'missing.set(bookie, await missingOn(node, id, { places: placesOf(bookie, part), verify: doors.verify }));',
        to: 'missing.set(bookie, []);'
      }
    ],
    diesBy: ['copies-whole']
  },
  {
    name: 'repair the last ensemble of a ledger that is open',
    edits: [
      {
        file: `${BOOKIE}auditor/survey.js`,
        from: 'ensembles: ensembles.slice(0, -1),',
        to: 'ensembles,'
      }
    ],
    diesBy: ['state-moves', 'repair-proved', 'quorum-acked', 'no-bug']
  },
  {
    name: 'collect ledgers whose owner nobody knows',
    edits: [
      {
        file: `${BOOKIE}auditor/orphan-collector.js`,
        from: 'if (known === undefined)\n            return undefined;',
        to: "if (known === undefined)\n            return { standing: 'not listed', compares: [] };"
      }
    ],
    diesBy: ['nothing-lost']
  },
  // ------------------------------------------------------------ deletion
  {
    name: 'delete without a record',
    edits: [
      {
        file: `${BOOKIE}storage/deletion-collector.js`,
        from: 'this.#quarantined.delete(id);\n            else if',
        to: 'this.#queue.add(id);\n            else if'
      },
      {
        file: `${BOOKIE}storage/deletion-collector.js`,
        from: 'if (await this.#hasDeletionRecord(id))',
        to: 'if (true)'
      }
    ],
    diesBy: ['node-keeps', 'acked-kept', 'node-no-lie']
  },
  {
    name: 'never look for deletions that were missed',
    edits: [
      { file: `${BOOKIE}storage/deletion-collector.js`, from: 'await this.#audit();', to: '' },
      { file: `${BOOKIE}storage/deletion-collector.js`, from: 'await this.#scanPage();', to: '' }
    ],
    diesBy: ['space-returns']
  }
]
