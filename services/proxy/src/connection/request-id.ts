import { BaseCommand_Type, commandEndOf, ProtoReader } from '@strata/wire'

const LENGTH_BYTES = 4

/** Which field of an answer echoes the request's id. In a BaseCommand the number of the body's field is the type. */
const REQUEST_ID_FIELD: ReadonlyMap<number, number> = new Map([
  [BaseCommand_Type.SUCCESS, 1],
  [BaseCommand_Type.ERROR, 1],
  [BaseCommand_Type.LOOKUP_RESPONSE, 4],
  [BaseCommand_Type.PARTITIONED_METADATA_RESPONSE, 2],
  [BaseCommand_Type.GET_TOPICS_OF_NAMESPACE_RESPONSE, 1],
  [BaseCommand_Type.GET_SCHEMA_RESPONSE, 1],
  [BaseCommand_Type.WATCH_TOPIC_LIST_SUCCESS, 1]
])

/**
 * The id of the request that a frame answers, without decoding what may be megabytes of names; undefined: it answers none.
 * @throws MALFORMED_FRAME
 */
export function answeredRequestOf(type: number, buffer: Buffer, start: number, end: number): bigint | undefined {
  const wanted = REQUEST_ID_FIELD.get(type)
  if (wanted === undefined) return undefined
  const reader = new ProtoReader()
  reader.open(buffer, start + LENGTH_BYTES, commandEndOf(buffer, start, end))
  while (reader.next()) {
    if (reader.field !== type) {
      reader.skip()
      continue
    }
    reader.end = reader.block()
    while (reader.next()) {
      if (reader.field !== wanted) reader.skip()
      else {
        reader.scalar()
        return (BigInt(reader.high) << 32n) | BigInt(reader.low)
      }
    }
  }
  return undefined
}
