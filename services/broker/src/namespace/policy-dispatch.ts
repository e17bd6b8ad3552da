import { fields, type PolicySpecs, type Problem } from './policy-spec.ts'

/** What goes to consumers. */
export interface DispatchPolicies {
  /** Names of filters with commas between. They count while `allowOverrideEntryFilters` is on. */
  entryFilters: { entryFilterNames: string }
  /**
   * Nothing new is sent while acknowledgements are more than can be kept. There is nothing to pause: every acknowledged
   * range is kept, however many there are.
   */
  dispatcherPauseOnAckStatePersistent: boolean
}

export const dispatchPolicies: PolicySpecs<DispatchPolicies> = {
  entryFilters: {
    field: 'entryFilters',
    onNamespace: { path: 'entryFilters' },
    onTopic: { path: 'entryFilters' },
    parse: parseEntryFilters,
    ofBroker: settings => ({ entryFilterNames: settings.entryFilterNames })
  },
  dispatcherPauseOnAckStatePersistent: {
    field: 'dispatcherPauseOnAckStatePersistentEnabled',
    onNamespace: { path: 'dispatcherPauseOnAckStatePersistent', unset: () => false },
    onTopic: { path: 'dispatcherPauseOnAckStatePersistent' },
    parse: value => value !== false,
    ofBroker: settings => settings.dispatcherPauseOnAckStatePersistentEnabled
  }
}

/** A text is the names. */
function parseEntryFilters(value: unknown): DispatchPolicies['entryFilters'] | Problem {
  const names = typeof value === 'string' ? value : fields(value).entryFilterNames
  return typeof names === 'string' && names.trim() !== ''
    ? { entryFilterNames: names }
    : { problem: "entryFilterNames can't be empty. To remove entry filters use the remove method." }
}
