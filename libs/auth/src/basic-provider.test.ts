import { execFileSync } from 'node:child_process'
import { hash as bcrypt } from 'bcryptjs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { apr1 } from './apr1.ts'
import { BasicProvider } from './basic-provider.ts'
import { dataUrl } from './testing/settings.ts'

const CHEAP = 4 // the least that bcrypt takes

function provider(lines: readonly string[]): Promise<BasicProvider> {
  return Promise.resolve().then(() => new BasicProvider({ basicAuthConf: dataUrl(Buffer.from(lines.join('\n'))) }))
}

async function isIn(known: BasicProvider, data: string): Promise<boolean> {
  return await known.authenticate({ data, certificate: undefined }).then(
    ({ role }) => data.startsWith(`${role}:`),
    () => false
  )
}

describe('apr1', () => {
  // made by `openssl passwd -apr1`
  test.each([
    ['password', 'saltsalt', '$apr1$saltsalt$U5aBiMWq/Rl.U47d9K/sF.'],
    ['', 'x', '$apr1$x$QxPVwfDjrYy7yjU8LnfEL.']
  ])('%j with %j', (password, salt) => {
    const known = execFileSync('openssl', ['passwd', '-apr1', '-salt', salt, '-stdin'], { input: `${password}\n` })
    expect(apr1(password, salt)).toBe(known.toString().trim())
  })

  test('goes by all of a password', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 60 }), fc.string({ maxLength: 60 }), (one, other) => {
        expect(apr1(one, 'salt') === apr1(other, 'salt')).toBe(one === other)
      }),
      { numRuns: 20 }
    )
  })
})

describe('users of a file', () => {
  test.each(['$2a$', '$2b$', '$2y$'])('whose password is hashed by bcrypt (%s)', async prefix => {
    const hash = (await bcrypt('right', CHEAP)).replace(/^\$2.\$/, prefix)
    const known = await provider([`ann:${hash}`])
    expect(await isIn(known, 'ann:right')).toBe(true)
    expect(await isIn(known, 'ann:right')).toBe(true)
    expect(await isIn(known, 'ann:wrong')).toBe(false)
    expect(await isIn(known, 'bob:right')).toBe(false)
  })

  test('whose password is hashed by apr1', async () => {
    const known = await provider(['# people', '', `ann:${apr1('p:w', 'abcdefgh')}`, `bob:${apr1('', 'z')}`])
    expect(await isIn(known, 'ann:p:w')).toBe(true)
    expect(await isIn(known, 'ann:')).toBe(false)
    expect(await isIn(known, 'bob:')).toBe(true)
    expect(await isIn(known, 'bob:p:w')).toBe(false)
    for (const nobody of ['', ':', 'ann', 'nobody:']) expect(await isIn(known, nobody)).toBe(false)
  })

  test('of one whose hash is of another kind: the line is named, and nothing of it', async () => {
    const file = provider([`ann:${apr1('x', 'y')}`, 'bob:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g='])
    await expect(file).rejects.toThrow(/line 2/)
    await expect(file).rejects.not.toThrow(/SHA|bob/)
  })
})
