import type { NodeView } from './node-view.ts'
import { diskSpaceOf } from './node-view.ts'

export const PROMETHEUS_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** Prometheus text: by BookKeeper's names where they mean the same, else by our own. Of one node; no label is an id. */
export async function nodeMetrics(view: NodeView): Promise<string> {
  const { bookie, served } = view
  const stats = bookie.stats()
  const serving = served.stats()
  const { state, reasons } = bookie.health()
  const lines: string[] = []
  const add = (kind: 'counter' | 'gauge', name: string, value: number, labels = ''): void => {
    lines.push(`# TYPE ${name} ${kind}`, `${name}${labels} ${value}`)
  }
  add('gauge', 'bookie_SERVER_STATUS', state === 'writable' ? 1 : 0)
  add('gauge', 'strata_bookie_troubles', reasons.length)
  add('counter', 'bookkeeper_server_ADD_ENTRY_count', serving.adds)
  add('counter', 'bookkeeper_server_READ_ENTRY_count', serving.reads)
  add('counter', 'bookie_WRITE_BYTES', serving.addBytes)
  add('counter', 'strata_bookie_failed_adds', serving.failedAdds)
  add('counter', 'strata_bookie_refused_calls', serving.refusedCalls)
  add('gauge', 'strata_bookie_add_streams', serving.addStreams)
  add('gauge', 'strata_bookie_held_add_bytes', serving.heldAddBytes)
  add('gauge', 'strata_bookie_held_add_bytes_max', serving.addBytesMax)
  add('gauge', 'strata_bookie_waiting_reads', serving.waitingReads)
  add('gauge', 'strata_bookie_waiting_recovery_reads', serving.waitingRecoveryReads)
  add('gauge', 'strata_bookie_waiting_recovery_adds', serving.waitingRecoveryAdds)
  add('gauge', 'strata_bookie_journal_files', stats.journalFiles)
  add('gauge', 'strata_bookie_journal_bytes', stats.journalBytes)
  add('gauge', 'strata_bookie_entry_logs', stats.entryLogs)
  add('gauge', 'strata_bookie_entry_log_bytes', stats.entryLogBytes)
  add('gauge', 'strata_bookie_live_bytes', stats.liveBytes)
  add('counter', 'strata_bookie_journal_records', stats.sequence)
  add('gauge', 'strata_bookie_unindexed_bytes', stats.unindexedBytes)
  add('gauge', 'strata_bookie_write_buffer_bytes', stats.writeBufferBytes)
  add('gauge', 'strata_bookie_recent_writes_bytes', stats.recentBytes)
  add('counter', 'strata_bookie_recent_writes_reads', stats.recentReads)
  add('counter', 'strata_bookie_added_bytes', stats.addedBytes)
  add('counter', 'strata_bookie_journal_written_bytes', stats.journalWrittenBytes)
  add('counter', 'strata_bookie_journal_syncs', stats.journalSyncs)
  add('counter', 'strata_bookie_moved_bytes', stats.movedBytes)
  add('counter', 'strata_bookie_copied_bytes', stats.copiedBytes)
  add('counter', 'strata_bookie_index_written_bytes', stats.indexWrittenBytes)
  const writtenBytes = stats.journalWrittenBytes + stats.movedBytes + stats.indexWrittenBytes
  add('gauge', 'strata_bookie_write_amplification', stats.addedBytes === 0 ? 0 : writtenBytes / stats.addedBytes)
  add('gauge', 'strata_bookie_reserve_bytes', stats.reserveBytes)
  add('gauge', 'strata_bookie_damaged_entries', stats.damagedEntries)
  add('counter', 'strata_bookie_scrubbed_bytes', stats.scrubbedBytes)
  add('counter', 'strata_bookie_scrub_rounds', stats.scrubRounds)
  add('gauge', 'strata_bookie_quarantined_ledgers', stats.quarantinedLedgers)
  add('gauge', 'strata_bookie_incarnation', stats.incarnation)
  const spaces = await diskSpaceOf(view.directories)
  lines.push('# TYPE strata_bookie_disk_free_bytes gauge')
  for (const { directory, freeBytes } of spaces) {
    lines.push(`strata_bookie_disk_free_bytes{directory=${JSON.stringify(directory)}} ${freeBytes}`)
  }
  return `${lines.join('\n')}\n`
}
