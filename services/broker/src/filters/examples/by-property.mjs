// An entry filter: put into `entryFiltersDirectory` it is called `by-property`, and a subscription with the property
// `wants: x` gets messages whose property `kind` is `x`, and no others.

/** @returns {import('../entry-filter.ts').EntryFilter} */
export function createEntryFilter() {
  return {
    filterEntry({ properties }, { subscriptionProperties }) {
      const { wants } = subscriptionProperties
      return wants === undefined || properties.kind === wants ? 'accept' : 'reject'
    }
  }
}
