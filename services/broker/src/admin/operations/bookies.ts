import { done, json, objectBody, param, textOf, type AdminReply, type AdminRequest } from '../operation.ts'
import { refuse } from '../rest-error.ts'

/** Storage nodes that take new ledgers now. */
export function listBookies({ backend }: AdminRequest): AdminReply {
  return json({ bookies: backend.bookies().map(bookieId => ({ bookieId })) })
}

/** group → bookie → where it stands. */
export async function listRacks({ backend }: AdminRequest): Promise<AdminReply> {
  const groups: Record<string, Record<string, unknown>> = {}
  for (const [bookie, { group, rack, hostname }] of await backend.balance.rows.racks()) {
    const bookies = (groups[group] ??= {})
    bookies[bookie] = { rack, hostname }
  }
  return json(groups)
}

export async function getRack(request: AdminRequest): Promise<AdminReply> {
  const bookie = param(request, 'bookie')
  const { rack, hostname } = await requiredRack(request, bookie)
  return json({ rack, hostname })
}

export async function setRack(request: AdminRequest): Promise<AdminReply> {
  const { group = '' } = request.query
  if (group === '') refuse(412, "Bookie 'group' parameters is missing")
  const body = objectBody(request)
  const place = { group, rack: textOf(body.rack), hostname: textOf(body.hostname) }
  await request.backend.balance.rows.setRack(param(request, 'bookie'), place)
  return done()
}

export async function deleteRack(request: AdminRequest): Promise<AdminReply> {
  const bookie = param(request, 'bookie')
  await requiredRack(request, bookie)
  await request.backend.balance.rows.removeRack(bookie)
  return done()
}

async function requiredRack(request: AdminRequest, bookie: string): Promise<{ rack: string; hostname: string }> {
  const racks = await request.backend.balance.rows.racks()
  return racks.get(bookie) ?? refuse(404, `Bookie rack placement configuration not found: ${bookie}`)
}
