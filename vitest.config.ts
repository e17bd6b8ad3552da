import { defineConfig } from 'vitest/config'

// Tests run from source: the `source` condition of every package's exports names its TypeScript entry.
const conditions = ['source', 'node', 'import', 'module', 'default']

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    include: [
      'libs/*/src/**/*.test.ts',
      'services/*/src/**/*.test.ts',
      'test/tidy/*.test.ts',
      'test/integration/*.test.ts',
      'test/sim/*.test.ts',
      'test/sim-ownership/*.test.ts',
      'test/etcd/*.test.ts',
      'test/explorer/*.test.ts',
      'test/chaos/*.test.ts',
      'test/failover/*.test.ts'
    ],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 180_000,
    hookTimeout: 180_000
  }
})
