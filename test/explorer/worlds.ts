// What the model is checked in: how many nodes, entries, recoverers and faults. Each world is explored to its end.

/** A promise of the protocol, as `Ledger.tla` names it. */
export type PromiseName =
  'AcknowledgedIsKept' | 'AcknowledgedIsWithin' | 'OneEnd' | 'ClosedIsWhole' | 'ToldIsAcknowledged'

export const PROMISES: readonly PromiseName[] = [
  'AcknowledgedIsKept',
  'AcknowledgedIsWithin',
  'OneEnd',
  'ClosedIsWhole',
  'ToldIsAcknowledged'
]

export interface World {
  readonly nodes: number
  readonly ensembleSize: number
  readonly writeQuorum: number
  readonly ackQuorum: number
  readonly entries: number
  readonly recoverers: number
  /** Faults of all kinds together, and of each kind: see the constants of `Ledger.tla`. */
  readonly faults: number
  readonly changes: number
  readonly crashes: number
  readonly destroyed: number
  readonly replaces: number
}

/** Two copies, both needed, and a spare node: one destroyed disk leaves one. */
const PAIR: World = {
  nodes: 3,
  ensembleSize: 2,
  writeQuorum: 2,
  ackQuorum: 2,
  entries: 1,
  recoverers: 1,
  faults: 1,
  changes: 1,
  crashes: 1,
  destroyed: 1,
  replaces: 1
}
/** The quorum that is run in earnest. */
const TRIPLE: World = { ...PAIR, ensembleSize: 3, writeQuorum: 3 }
/** Entries go round the ensemble: no two have the same write set. */
const STRIPED: World = { ...PAIR, ensembleSize: 3 }

/** A minute on one core, all of them. */
export const SMALL_WORLDS: Readonly<Record<string, World>> = {
  'three entries, two recoverers, nothing fails': { ...PAIR, entries: 3, recoverers: 2, faults: 0 },
  'three copies, any one fault': TRIPLE,
  'two copies, any two faults': { ...PAIR, faults: 2 },
  'two recoverers, any one fault': { ...PAIR, recoverers: 2 },
  'striped, two entries, nothing fails': { ...STRIPED, entries: 2, faults: 0 }
}

/** Minutes to hours. */
export const LARGE_WORLDS: Readonly<Record<string, World>> = {
  'striped, two entries, any one fault': { ...STRIPED, entries: 2 },
  'three copies and a spare node, any two faults': { ...TRIPLE, nodes: 4, faults: 2 },
  'three entries, two recoverers, any one fault': { ...PAIR, entries: 3, recoverers: 2 },
  'two recoverers, any three faults': { ...PAIR, recoverers: 2, faults: 3, changes: 2, crashes: 2 },
  'three copies, two recoverers, any two faults': { ...TRIPLE, recoverers: 2, faults: 2 }
}

/** Rules that are broken, each in a world of its own, and the promise that must be seen not to hold there. */
export const BROKEN: readonly { readonly world: World; readonly rules: Readonly<Record<string, PromiseName>> }[] = [
  {
    world: { ...PAIR, recoverers: 2, faults: 2 },
    rules: {
      ackTooFew: 'AcknowledgedIsKept',
      ackBeforeSync: 'AcknowledgedIsKept',
      gapInStream: 'AcknowledgedIsKept',
      lacNotFrozen: 'AcknowledgedIsKept',
      countReplaced: 'AcknowledgedIsKept',
      tellsTooMuch: 'ToldIsAcknowledged',
      notResent: 'AcknowledgedIsKept',
      changeFromNext: 'AcknowledgedIsKept',
      changeUnrecorded: 'AcknowledgedIsKept',
      changeUnchecked: 'ClosedIsWhole',
      fenceOvertakes: 'AcknowledgedIsWithin',
      fenceUnsynced: 'AcknowledgedIsWithin',
      blankTakesAdds: 'AcknowledgedIsWithin',
      unknownIsAbsent: 'AcknowledgedIsWithin',
      startTooLate: 'ClosedIsWhole',
      noWriteBack: 'ClosedIsWhole',
      forgetOwn: 'ClosedIsWhole',
      closeUnchecked: 'OneEnd'
    }
  },
  {
    // with an ack quorum below the write quorum, one node's silence is not enough, nor its word
    world: { ...TRIPLE, faults: 0 },
    rules: { readUnfenced: 'AcknowledgedIsWithin', oneAbsentEnds: 'AcknowledgedIsWithin' }
  }
]
