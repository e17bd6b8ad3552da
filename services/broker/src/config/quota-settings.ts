import { boolean, number, text } from '@strata/base'

/** How much may wait for subscriptions where namespaces and topics say nothing, and how that is looked after. */
export const quotaSettings = {
  backlogQuotaCheckEnabled: boolean({ default: true, doc: 'Look after the quotas of backlogs.' }),
  backlogQuotaCheckIntervalInSeconds: number({
    default: 60,
    min: 1,
    unit: 's',
    doc: 'How often backlogs are compared with their quotas; sizes also while messages are published.'
  }),
  backlogQuotaDefaultLimitGB: number({
    default: -1,
    min: -1,
    unit: 'GB',
    doc: 'Size that the backlog of a topic may have; 0 and less: as backlogQuotaDefaultLimitBytes says.'
  }),
  backlogQuotaDefaultLimitBytes: number({
    default: -1,
    min: -1,
    max: Number.MAX_SAFE_INTEGER,
    unit: 'bytes',
    doc: 'Size that the backlog of a topic may have; -1: no limit.'
  }),
  backlogQuotaDefaultLimitSecond: number({
    default: -1,
    min: -1,
    unit: 's',
    doc: 'Age that the oldest message of a backlog may have; 0 and less: no limit.'
  }),
  backlogQuotaDefaultRetentionPolicy: text({
    default: 'producer_request_hold',
    oneOf: ['producer_request_hold', 'producer_exception', 'consumer_backlog_eviction'],
    doc: 'What happens past these limits: producers wait, producers are refused, or the oldest messages are acknowledged.'
  }),
  preciseTimeBasedBacklogQuotaCheck: boolean({
    default: false,
    doc: 'Take the age of a message from itself; otherwise from when its ledger was closed.'
  })
} as const
