import { LedgerError } from '../errors.ts'

/** Of a message that came. @throws LedgerError MALFORMED_MESSAGE */
export function decoded<Message>(decode: () => Message): Message {
  try {
    return decode()
  } catch (error) {
    throw LedgerError.create('MALFORMED_MESSAGE', { reason: 'not a message' }, error)
  }
}

/** 0 where the field is not there. @throws LedgerError MALFORMED_MESSAGE */
export function safe(value: bigint | undefined): number {
  const number = Number(value ?? 0n)
  if (!Number.isSafeInteger(number)) throw LedgerError.create('MALFORMED_MESSAGE', { reason: 'a number past 2^53' })
  return number
}
