import { strict as assert } from 'node:assert'
import { AddBatch } from '../grpc/add-batch.ts'

const FRAME_BYTES = 5

/** The bytes of a batch, put where gRPC puts them: behind the head of a frame. */
export function encodedAddBatch(...given: ConstructorParameters<typeof AddBatch>): Buffer {
  const batch = new AddBatch(...given)
  const frame = Buffer.alloc(FRAME_BYTES + batch.length + 1)
  assert.equal(batch.copy(frame, FRAME_BYTES), batch.length)
  assert.equal(frame.readUIntBE(0, FRAME_BYTES) + (frame.at(-1) ?? 1), 0)
  return frame.subarray(FRAME_BYTES, -1)
}
