import type { BundleName } from './contract.ts'

export interface Waiter {
  readonly id: number
  /** Who asks believes that it should be served here. */
  readonly take: boolean
  readonly untilMs: number
}

/** A hand-over from here: wanted, topics closing, topics closed. */
export interface Move {
  readonly ids: number[]
  /** Whoever asked for it chose this one. */
  readonly to: string | undefined
  /** Topics are dropped, not closed. */
  readonly isAbrupt: boolean
  /** Undefined: only the topics are closed. */
  next: string | undefined
  phase: 'wanted' | 'closing' | 'closed'
  untilMs: number
}

/** What this broker has to do with a bundle: there is one of these while it has anything to do with it. */
export interface LocalBundle {
  readonly name: BundleName
  readonly key: string
  topics: 'none' | 'open' | 'closing'
  /** The registration that the topics were opened or last confirmed under. */
  heldAs: string
  /** Its topics stay open although the registration they were opened under is over: it is taken back if nobody has it. */
  isKept: boolean
  /** To be taken without being asked for: its owner is gone, and it falls to this broker. */
  isWanted: boolean
  /** The namespace has no such bundle any more. */
  isObsolete: boolean
  /** A transaction about it has no answer yet. */
  pending: 'no' | 'write' | 'redivide'
  pausedUntilMs: number
  preload: readonly string[]
  move: Move | undefined
  waiters: Waiter[]
}

export function newLocalBundle(name: BundleName): LocalBundle {
  return {
    name,
    key: name.toString(),
    topics: 'none',
    heldAs: '',
    isKept: false,
    isWanted: false,
    isObsolete: false,
    pending: 'no',
    pausedUntilMs: 0,
    preload: [],
    move: undefined,
    waiters: []
  }
}
