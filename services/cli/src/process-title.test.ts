import { strict as assert } from 'node:assert'
import { execFileSync } from 'node:child_process'
import { describe, test } from 'vitest'
import { shownTitle } from './process-title.ts'

describe('what a list of processes shows', () => {
  test('no secret of a command line, however it is given', () => {
    const cases: readonly (readonly [string, string | undefined])[] = [
      ['broker --conf broker.conf --set clusterName=a', undefined],
      ['topics list --token abc public/default', 'strata topics list --token *** public/default'],
      ['topics list --token=abc', 'strata topics list --token=***'],
      ['topics list --token-file /run/token', undefined],
      ['broker --set tokenSecretKey=abc --json', 'strata broker --set tokenSecretKey=*** --json'],
      ['broker --set=basicAuthConf=abc', 'strata broker --set=basicAuthConf=***'],
      ['brokers set strataOtlpMetricsHeaders a=b --json', 'strata brokers set strataOtlpMetricsHeaders *** --json'],
      ['policies set a/b retention {"retentionTimeInMinutes":1}', undefined],
      [
        'policies set a/b offloadPolicies {"s3ManagedLedgerOffloadCredentialSecret":"x"}',
        'strata policies set a/b offloadPolicies {"s3ManagedLedgerOffloadCredentialSecret":"***"}'
      ],
      [
        'policies set a/b offloadPolicies s3ManagedLedgerOffloadCredentialSecret=x',
        'strata policies set a/b offloadPolicies s3ManagedLedgerOffloadCredentialSecret=***'
      ],
      [
        'proxy --set brokerClientAuthenticationParameters=token:abc',
        'strata proxy --set brokerClientAuthenticationParameters=***'
      ]
    ]
    for (const [line, shown] of cases) assert.equal(shownTitle(line.split(' ')), shown)
  })

  test('the system shows the title in place of the command line', () => {
    const script = `process.title = 'strata x --token ***'
      process.stdout.write(require('node:fs').readFileSync('/proc/self/cmdline', 'latin1'))`
    const shown = execFileSync(process.execPath, ['-e', script, '--', '--token', 'the-secret-itself'], {
      encoding: 'utf8'
    })
    assert.match(shown, /^strata x --token \*\*\*/)
    assert.ok(!shown.includes('the-secret-itself'))
  })
})
