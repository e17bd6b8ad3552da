import type { ServerResponse } from 'node:http'

/** An answer of the proxy's own. */
export function answer(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) })
  response.end(body)
}

/** As brokers tell what is wrong. */
export function answerJson(response: ServerResponse, status: number, reason: string): void {
  answer(response, status, 'application/json', JSON.stringify({ reason }))
}
