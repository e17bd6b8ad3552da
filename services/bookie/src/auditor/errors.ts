import { defineErrors } from '@strata/base'

export const auditorErrors = defineErrors({
  CARE_RECORD_CORRUPT: {
    retryable: false,
    summary: 'what the metadata has of a declared node or a loss is not what any version wrote'
  },
  NOT_DECLARED: {
    retryable: false,
    summary: 'recovery waits for nodes that nobody declared destroyed: they may come back with what they hold'
  },
  NODES_NEEDED: { retryable: true, summary: 'nothing is lost: recovery needs more nodes that take entries' },
  CANNOT_REBUILD: { retryable: false, summary: 'what nodes hold does not tell what the metadata of a ledger was' }
})
