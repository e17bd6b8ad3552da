// Logs N lines of so many bytes at once, says so, and ends when it is told to.
import { createLogger } from '@strata/base'

const [lines, bytes] = process.argv.slice(2).map(Number)
const logger = createLogger({ level: 'info', pretty: false })
const filling = '.'.repeat(bytes)
for (let n = 0; n < lines; n++) logger.info({ event: 'test.line', n, filling }, 'A line')
process.once('message', () => process.disconnect())
process.send('logged')
