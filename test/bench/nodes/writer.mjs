// A writer to be killed: forked with endpoints, prefix, cluster id, entries, payload bytes. Tells its ledger, then, once so many
// entries are confirmed, that they are, and goes on.
import { LedgerLoad } from '../../dist/bench/nodes/ledger-load.js'
import { NodeClient } from '../../dist/support/node-client.js'

const [endpoints, prefix, clusterId, entries, bytes] = process.argv.slice(2)
process.once('disconnect', () => process.exit())
const client = await NodeClient.open({ endpoints: endpoints.split(','), prefix, clusterId })
await client.writable(3)
const load = await LedgerLoad.begin(client.ledgers, { bytes: Number(bytes), windowBytes: 4 * 1024 * 1024 })
load.start()
await load.until(() => load.confirmed >= Number(entries))
process.send({ ledgerId: load.ledgerId, confirmed: load.confirmed })
