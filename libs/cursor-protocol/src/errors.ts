import { defineErrors } from '@strata/base'

export const cursorErrors = defineErrors({
  MALFORMED_CURSOR_STATE: { retryable: false, summary: 'stored cursor state cannot be read' },
  UNKNOWN_CURSOR_STATE_VERSION: { retryable: false, summary: 'stored cursor state was written by a newer version' }
})
