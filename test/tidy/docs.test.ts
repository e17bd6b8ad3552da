import { strict as assert } from 'node:assert'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describeAdminApi } from '@strata/broker'
import { describe, test } from 'vitest'
import { configurationPage, errorsPage } from './docs.ts'
import { ROOT, textOf } from './repository.ts'

// `STRATA_TEST_WRITE_DOCS=1 npx vitest run test/tidy/docs.test.ts` writes the pages anew.
const write = process.env['STRATA_TEST_WRITE_DOCS'] === '1'

function assertPage(path: string, expected: string): void {
  if (write) writeFileSync(join(ROOT, path), expected)
  assert(existsSync(join(ROOT, path)), `${path} is missing`)
  assert.equal(textOf(path), expected, `${path} is out of date`)
}

describe('documentation is made from the tables in code', () => {
  test('docs/configuration.md has every setting', () => assertPage('docs/configuration.md', configurationPage()))
  test('docs/admin-api.md has every route', () => assertPage('docs/admin-api.md', describeAdminApi()))
  test('docs/errors.md has every error code', () => assertPage('docs/errors.md', errorsPage()))
})
