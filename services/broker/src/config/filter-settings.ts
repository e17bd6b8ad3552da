import { boolean, number, text } from '@strata/base'

/** Programs of operators that say which messages go to consumers. */
export const filterSettings = {
  entryFiltersDirectory: text({
    default: '',
    doc: 'Where modules of entry filters are, one a file, each by the name of its file without the extension; none where it is empty.'
  }),
  entryFilterNames: text({
    default: '',
    doc: 'Entry filters of every subscription, in this order, with commas between.'
  }),
  allowOverrideEntryFilters: boolean({
    default: false,
    doc: 'Policies of namespaces and topics say which entry filters there are instead.'
  }),
  dispatcherEntryFilterRescheduledMessageDelay: number({
    default: 500,
    min: 1,
    unit: 'ms',
    doc: 'After how long a message is looked at again which a filter put off.'
  })
} as const
