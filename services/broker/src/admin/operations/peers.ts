import { isNamespaceError } from '../../namespace/errors.ts'
import { done, flag, type AdminReply, type AdminRequest } from '../operation.ts'
import { refuse } from '../rest-error.ts'
import { topicOf } from './names.ts'

/*
  What brokers ask of each other while one of them deletes a topic whose partitions several of them serve.
*/

/** Nobody begins to use the topic here until it is unblocked. @throws RestError 412: somebody does, and `force` is not set */
export async function blockTopic(request: AdminRequest): Promise<AdminReply> {
  const name = topicOf(request)
  const home = await request.backend.homes.heldHome(name)
  if (home === undefined) refuse(503, 'The topic has moved: try again')
  try {
    await request.backend.blocks.begin(name, { force: flag(request, 'force') })
  } catch (error) {
    if (isNamespaceError(error, 'NOT_EMPTY')) refuse(412, error.message)
    throw error
  }
  return done()
}

export function unblockTopic(request: AdminRequest): AdminReply {
  request.backend.blocks.end(topicOf(request))
  return done()
}

/** Drops what there is of it, in memory and stored. */
export async function eraseTopic(request: AdminRequest): Promise<AdminReply> {
  await request.backend.topics.erase(topicOf(request))
  return done()
}
