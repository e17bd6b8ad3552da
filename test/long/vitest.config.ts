import { defineConfig } from 'vitest/config'

const conditions = ['source', 'node', 'import', 'module', 'default']

/** Tests that need a tool of their own and time, run by hand: `npm run test:long`. `npm test` does not take them. */
export default defineConfig({
  root: new URL('../..', import.meta.url).pathname,
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: { include: ['test/long/*.test.ts'], pool: 'forks', testTimeout: 600_000 }
})
