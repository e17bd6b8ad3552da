/** What goes to storage and what it took, counted once a message: whoever looks twice sees whether it stands still. */
export class StoragePulse {
  /** Publications that were stored, and logs that were taken. */
  stored = 0
  /** Publications that were handed over and have no answer yet. */
  waiting = 0
  /** Logs that could not be taken. */
  failures = 0
}
