import { ledgerId, silentLogger, systemClock, type LedgerId } from '@strata/base'
import { auditorErrors, closeWithLoss, type ClosedLedger } from '@strata/bookie/server'
import { withCluster, type Cluster, type ClusterFlags } from './cluster.ts'
import { CommandFailure } from './failure.ts'
import { describedLedger } from './ledger-view.ts'
import { sizeText } from './options.ts'
import { printJson, printLine, startProgress } from './output.ts'

export interface RecoverFlags extends ClusterFlags {
  readonly acceptLoss?: boolean
}

/** Takes the ledger over from whoever writes it, and closes it. */
export async function recoverLedger(id: number, flags: RecoverFlags): Promise<void> {
  await withCluster(flags, async cluster => {
    const before = await describedLedger(ledgerId(id), cluster)
    const progress = startProgress(() => `recovering ledger ${id}`)
    const closed = await (
      flags.acceptLoss === true ? close(before.ledgerId, cluster) : recover(before.ledgerId, cluster)
    ).finally(() => progress.stop())
    const { end, lost, destroyed } = closed
    const was = before.state
    if (flags.json === true) {
      const loss = flags.acceptLoss === true ? { lost, destroyed } : {}
      await printJson({ ledgerId: id, was, state: 'closed', ...end, ...loss })
      return
    }
    await printLine(`ledger ${id} is closed at entry ${end.lastEntryId}, ${sizeText(end.lengthBytes)} (it was ${was})`)
    for (const { first, last } of lost) {
      await printLine(
        `lost      ${last === undefined ? `whatever was behind entry ${first - 1}` : `entries ${first} to ${last}`}`
      )
    }
  })
}

async function recover(id: LedgerId, { ledgers }: Cluster): Promise<ClosedLedger> {
  return { end: await ledgers.recover(id), lost: [], destroyed: [] }
}

async function close(id: LedgerId, { metadata, directory, ledgers }: Cluster): Promise<ClosedLedger> {
  try {
    const doors = { metadata, directory, ledgers, clock: systemClock, logger: silentLogger }
    return await closeWithLoss(id, doors)
  } catch (error) {
    if (!auditorErrors.is(error, 'NOT_DECLARED')) throw error
    const nodes = (error.details['nodes'] as string[]).join(', ')
    const advice = 'bring them back, or declare each with strata bookies decommission NODE --destroyed'
    throw new CommandFailure(`ledger ${id} waits for ${nodes}: ${advice}`, { cause: error })
  }
}
