export { TestAuthority, type KeyPair } from './test-authority.ts'
