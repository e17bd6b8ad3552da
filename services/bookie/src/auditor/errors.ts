import { defineErrors } from '@strata/base'

export const auditorErrors = defineErrors({
  CARE_RECORD_CORRUPT: {
    retryable: false,
    summary: 'what the metadata has of a declared node or a loss is not what any version wrote'
  }
})
