// Mutants of storage nodes and of the care for copies; see mutants.mjs.
const CLIENT = 'libs/ledger-client/dist/'
const BOOKIE = 'services/bookie/dist/'

export const nodeMutants = [
  {
    name: 'trust a volume that was rolled back or lost',
    rule: 'a node must not lie',
    trials: [10],
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
    rule: 'a node must not lie',
    trials: [4],
    edits: [
      {
        file: `${BOOKIE}open-bookie.js`,
        from: 'const isBehind = volume.isBehind(extent);',
        to: 'const isBehind = false;'
      }
    ],
    diesBy: ['node-no-lie', 'fence-holds', 'end-covers']
  },
  {
    name: 'take a first start that died for a volume that lost a directory',
    rule: 'a node must not lie',
    trials: ['first-start-that-dies'],
    edits: [{ file: `${BOOKIE}volume/volume.js`, from: ' || isUnused(present)', to: '' }],
    diesBy: ['liveness']
  },
  {
    name: 'tell how many records there are, and not in which file',
    rule: 'a node must not lie',
    trials: ['rolled-back-to-a-failed-sync'],
    edits: [{ file: `${BOOKIE}volume/volume.js`, from: ' || file < this.#told.file', to: '' }],
    diesBy: ['node-no-lie']
  },
  {
    name: 'forget what an earlier start submitted',
    rule: 'a node must not lie',
    trials: ['raised-by-a-start-that-died'],
    edits: [
      { file: `${BOOKIE}volume/volume.js`, from: 'operation: left ?? randomUUID()', to: 'operation: randomUUID()' }
    ],
    diesBy: ['liveness']
  },
  {
    name: 'keep a journal file that nothing was ever written to',
    rule: 'storage',
    trials: ['failed-file-in-front'],
    edits: [{ file: `${BOOKIE}journal/journal-files.js`, from: 'await this.#removeUnwritten(before);', to: '' }],
    diesBy: ['starts']
  },
  {
    name: 'move the last record of a journal',
    rule: 'a node must not lie',
    trials: ['index-lost-behind-moved-journals'],
    edits: [{ file: `${BOOKIE}housekeeper.js`, from: 'return later.some(', to: 'return true || later.some(' }],
    diesBy: ['liveness']
  },
  {
    name: 'prove nothing when the journal is idle',
    rule: 'a node must not lie',
    trials: ['last-record-of-an-idle-journal#101'],
    edits: [{ file: `${BOOKIE}housekeeper.js`, from: 'journal.markIfIdle();', to: ';' }],
    diesBy: ['node-no-lie', 'fence-holds']
  },
  {
    name: 'a node without authority takes plain adds',
    rule: 'a node must not lie',
    trials: ['fenced-writer-and-a-lost-volume'],
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
    name: 'give out ids that another process has',
    rule: 'a node must not lie',
    trials: [1],
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
    rule: 'a node must not lie',
    trials: ['records-torn-apart'],
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
    rule: 'a node must not lie',
    trials: [155],
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
    name: 'trust an index that was lost',
    rule: 'a node must not lie',
    trials: ['index-lost-behind-entry-logs'],
    edits: [
      {
        file: `${BOOKIE}recovery.js`,
        from: 'isTrusted: checkpoint !== undefined',
        to: 'isTrusted: true'
      }
    ],
    diesBy: ['node-keeps', 'node-no-lie']
  },
  {
    name: 'say absent where the index cannot be asked',
    rule: 'a node must not lie',
    trials: ['indexes-that-fail#1'],
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
    rule: 'a node must not lie',
    trials: [17],
    edits: [
      {
        file: `${BOOKIE}storage-node.js`,
        from: "end: end === 'missing' && this.#hasAuthority(ledger) ? 'absent' : 'unknown'",
        to: "end: this.#hasAuthority(ledger) ? 'absent' : 'unknown'"
      }
    ],
    diesBy: ['node-no-lie']
  },
  {
    name: 'drop a journal file with live entries',
    rule: 'storage',
    trials: [8],
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
    rule: 'storage',
    trials: [12],
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
    rule: 'storage',
    trials: [17],
    edits: [
      {
        file: `${BOOKIE}storage/entry-log-writer.js`,
        from: 'await this.#file.sync();\n        await this.#file.close();',
        to: 'await this.#file.close();'
      }
    ],
    diesBy: ['node-keeps', 'starts']
  },
  {
    name: 'do not sync the directory of an entry log',
    rule: 'storage',
    trials: [29],
    edits: [
      { file: `${BOOKIE}storage/entry-log-writer.js`, from: 'await this.#disk.syncDirectory(this.#directory);', to: '' }
    ],
    diesBy: ['node-keeps', 'starts']
  },
  {
    name: 'answer for a copy before it is stored',
    rule: 're-replication',
    trials: ['power-lost-while-copies-come'],
    edits: [{ file: `${BOOKIE}copies/node-copies.js`, from: 'await Promise.all(copy.stored);', to: '' }],
    diesBy: ['node-keeps']
  },
  {
    name: 'do not sync the copies of a file',
    rule: 're-replication',
    trials: ['power-lost-while-copies-come'],
    edits: [{ file: `${BOOKIE}copies/copy-log.js`, from: 'await log.file.sync();', to: '' }],
    diesBy: ['node-keeps']
  },
  {
    name: 'let a flush of the index come over a copy',
    rule: 're-replication',
    trials: ['copy-behind-a-tail'],
    edits: [{ file: `${BOOKIE}copies/copy-log.js`, from: 'await writer.flushTails();', to: ';' }],
    diesBy: ['copies-whole']
  },
  {
    name: 'take a copy that is damaged',
    rule: 're-replication',
    trials: ['copies-of-what-is-damaged'],
    edits: [
      { file: `${BOOKIE}copies/wanted-records.js`, from: 'if (!isDigestRight(header, payload))', to: 'if (false)' }
    ],
    diesBy: ['one-content']
  },
  {
    name: 'name a replacement before it has everything',
    rule: 're-replication',
    trials: [21],
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
    rule: 're-replication',
    trials: [3],
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
    rule: 're-replication',
    trials: ['node-away-from-an-open-ledger'],
    edits: [
      {
        file: `${BOOKIE}auditor/survey.js`,
        from: 'if (last === undefined || ensembles.length < 2)',
        to: 'if (last === undefined)'
      },
      {
        file: `${BOOKIE}auditor/survey.js`,
        from: 'ensembles: ensembles.slice(0, -1),',
        to: 'ensembles,'
      },
      {
        file: `${BOOKIE}auditor/survey.js`,
        from: 'end: { lastEntryId: entryId(last.firstEntryId - 1), lengthBytes: 0 }',
        to: 'end: { lastEntryId: last.firstEntryId, lengthBytes: 0 }'
      }
    ],
    diesBy: ['state-moves', 'repair-proved', 'quorum-acked', 'no-bug']
  },
  {
    name: 'collect ledgers whose owner nobody knows',
    rule: 're-replication',
    trials: [3],
    edits: [
      {
        file: `${BOOKIE}auditor/orphan-collector.js`,
        from: 'if (known === undefined)\n            return undefined;',
        to: "if (known === undefined)\n            return { standing: 'not listed', compares: [] };"
      }
    ],
    diesBy: ['nothing-lost']
  },
  {
    name: 'delete without a record',
    rule: 'deletion',
    trials: [5],
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
    rule: 'deletion',
    trials: [5],
    edits: [
      { file: `${BOOKIE}storage/deletion-collector.js`, from: 'await this.#audit();', to: '' },
      { file: `${BOOKIE}storage/deletion-collector.js`, from: 'await this.#scanPage();', to: '' }
    ],
    diesBy: ['space-returns']
  },
  {
    name: 'leave no deletion record',
    rule: 'deletion',
    trials: [1],
    edits: [
      {
        file: `${CLIENT}ledger-metadata.js`,
        from: "{ kind: 'delete', key: ledgerKey(id) },\n                    { kind: 'put', key: ledgerDeletionKey(id), value: deletion }",
        to: "{ kind: 'delete', key: ledgerKey(id) }"
      }
    ],
    diesBy: ['space-returns']
  }
]
