import { strict as assert } from 'node:assert'
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { afterAll, describe, test } from 'vitest'
import { AckRun, stepsArb, type Implementation } from './testing/ack-model.ts'

/**
 * Ways to break a rule of the acknowledgement state, as changes of its source text. Each must be caught by the property
 * that the real code satisfies, for the reason that is named. `find` must occur exactly once, so that a mutant whose code
 * is gone is noticed.
 */
interface Mutant {
  readonly rule: string
  readonly file: string
  readonly find: string
  readonly replace: string
  readonly expect: RegExp
}

const STATE = 'ack-state.ts'
const mutants: readonly Mutant[] = [
  {
    rule: 'A1: an entry that does not exist is not acknowledged',
    file: STATE,
    find: 'if (this.isAcknowledged(ledgerId, entryId) || !this.#log.has(ledgerId, entryId)) return false\n    if (this',
    replace: 'if (this.isAcknowledged(ledgerId, entryId)) return false\n    if (this',
    expect: /returned|ranges|backlog/
  },
  {
    rule: 'A2: mark-delete crosses a ledger border',
    file: STATE,
    find: 'this.#moveMark(next.ledgerId, -1)',
    replace: 'return',
    expect: /mark-delete/
  },
  {
    rule: 'A2: mark-delete leaves a ledger only when all of it is acknowledged',
    file: STATE,
    find: 'if (this.#log.has(this.#markLedgerId, this.#markEntryId + 1)) return\n',
    replace: '',
    expect: /acknowledged|mark-delete/
  },
  {
    rule: 'A2: the fast path goes on over what was acknowledged ahead of it',
    file: STATE,
    find: 'else this.#addAck(this.#acksOf(ledgerId), entryId)\n    this.#advance()',
    replace: 'else { this.#addAck(this.#acksOf(ledgerId), entryId)\n    this.#advance() }',
    expect: /mark-delete|ranges|backlog/
  },
  {
    rule: 'A2: a cumulative acknowledgement runs on over what follows',
    file: STATE,
    find: 'this.#moveMark(target.ledgerId, target.entryId)\n    this.#forgetMarked()\n    this.#advance()',
    replace: 'this.#moveMark(target.ledgerId, target.entryId)\n    this.#forgetMarked()',
    expect: /mark-delete|persisted/
  },
  {
    rule: 'A3: nothing is kept at or before mark-delete',
    file: STATE,
    find: 'acks.clearThrough(this.#markEntryId)',
    replace: 'acks.clearThrough(this.#markEntryId - 1)',
    expect: /ranges|backlog/
  },
  {
    rule: 'A3: what is gone with its ledger is not counted',
    file: STATE,
    find: 'this.#ackedCount -= this.#acks.get(ledgerId)?.count ?? 0\n',
    replace: '',
    expect: /backlog/
  },
  {
    rule: 'A4: bits are intersected, not replaced',
    file: STATE,
    find: 'const words = intersect(old, remaining)',
    replace: 'const words = intersect(undefined, remaining)',
    expect: /returned|bits/
  },
  {
    rule: 'A4: words that are absent are acknowledged',
    file: STATE,
    find: 'let length = old === undefined ? remaining.length : Math.min(old.length, remaining.length)',
    replace:
      'let length = old === undefined ? remaining.length : Math.max(old.length, remaining.length)\n  if (remaining.length < length) remaining = Int32Array.from({ length }, (_, at) => remaining[at] ?? -1)',
    expect: /returned|bits/
  },
  {
    rule: 'A5: a moved mark-delete is a change',
    file: STATE,
    find: 'this.#isMarkDirty = true',
    replace: '',
    expect: /persisted|acknowledged|mark-delete/
  },
  {
    rule: 'A5: a page that changed again is written again',
    file: STATE,
    find: 'page.isDirty = false\n      writer.page(acks.ledgerId, page)\n    }\n    for (const [ledgerId, entries] of this.#dirtyBits)',
    replace: 'writer.page(acks.ledgerId, page)\n    }\n    for (const [ledgerId, entries] of this.#dirtyBits)',
    expect: /persisted|acknowledged/
  },
  {
    rule: 'A5: changed bits are written',
    file: STATE,
    find: 'dirty.add(entryId)',
    replace: '',
    expect: /persisted|bits/
  },
  {
    rule: 'A5: a reset forgets what was persisted before it',
    file: STATE,
    find: 'if (chunk.reset) this.#clear()',
    replace: '',
    expect: /persisted|acknowledged|bits/
  },
  {
    rule: 'A5: after a reset the next change is a whole state',
    file: STATE,
    find: 'this.#mustReset = true',
    replace: '',
    expect: /persisted|acknowledged/
  },
  {
    rule: 'A5: only the first chunk of a snapshot resets',
    file: 'ack-codec.ts',
    find: 'this.#writer = this.#begin(false)',
    replace: 'this.#writer = this.#begin(true)',
    expect: /persisted|acknowledged|bits/
  },
  {
    rule: 'runs are stored with their gaps',
    file: 'ack-codec.ts',
    find: 'end = last + 1\n    }\n  }\n\n  bits(',
    replace: 'end = last\n    }\n  }\n\n  bits(',
    expect: /persisted|acknowledged|Malformed|MALFORMED/
  },
  {
    rule: 'a page full of acknowledgements is passed whole',
    file: 'ledger-acks.ts',
    find: 'entryId = (index + 1) * PAGE_BITS',
    replace: 'return (index + 1) * PAGE_BITS',
    expect: /mark-delete/
  }
]

const packageDirectory = fileURLToPath(new URL('..', import.meta.url))
const scratch = mkdtempSync(join(packageDirectory, '.mutants-'))

afterAll(() => {
  rmSync(scratch, { recursive: true, force: true })
})

/** A copy of the sources with one change, loaded beside the real ones. */
async function load(mutant?: Mutant): Promise<Implementation> {
  const directory = mkdtempSync(join(scratch, 'm-'))
  const sources = join(packageDirectory, 'src')
  for (const file of readdirSync(sources).filter(name => name.endsWith('.ts') && !name.endsWith('.test.ts'))) {
    if (file !== mutant?.file) {
      copyFileSync(join(sources, file), join(directory, file))
      continue
    }
    const text = readFileSync(join(sources, file), 'utf8')
    assert.equal(text.split(mutant.find).length, 2, `not found once in ${file}: ${mutant.find}`)
    writeFileSync(
      join(directory, file),
      text.replace(mutant.find, () => mutant.replace)
    )
  }
  return (await import(join(directory, 'index.ts'))) as Implementation
}

function runs(implementation: Implementation): void {
  const property = fc.property(stepsArb, steps => {
    new AckRun(implementation).run(steps)
  })
  fc.assert(property, { numRuns: 50, seed: 20_240_601, endOnFailure: true })
}

describe('each broken rule is caught, for its own reason', () => {
  test('the code as it is passes', async () => {
    runs(await load())
  })

  test.each(mutants)('$rule', async mutant => {
    const implementation = await load(mutant)
    assert.throws(
      () => {
        runs(implementation)
      },
      (error: unknown) => mutant.expect.test(error instanceof Error ? `${error.message} ${String(error.cause)}` : '')
    )
  })
})
