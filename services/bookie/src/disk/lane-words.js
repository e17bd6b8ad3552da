/**
 * Words of the Int32Array that a lane and its thread share. Plain JavaScript, because Node 20 runs a thread's code
 * without a TypeScript loader; checked through JSDoc.
 */

/** Raised by the lane for every job; the thread sleeps on it. */
export const WAKE = 0
/** 1: the thread ends instead of taking a job. */
export const STOP = 1
export const DESCRIPTOR = 2
/** Number of the buffer, as announced by a message. */
export const BUFFER = 3
export const BYTES = 4
export const OFFSET = 5
/** 1: the job's bytes need a sync of their own; 0: the write itself is one. */
export const SYNC = 6
export const WORD_COUNT = 8
