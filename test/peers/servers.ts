// The small peers: an S3-compatible object store.
import { join } from 'node:path'
import { freePorts, peerDirectory, startPeer, waitReady } from './process.ts'

const READY_TIMEOUT_MS = 300_000 // the first start builds or fetches the server

export interface ServerPeer {
  readonly url: string
  stop(): Promise<void>
}

/** Starts an object store; its access key is `strata`, its secret `strata-secret`. @param scripts The folder of the `s3` script. */
export async function startObjectStore(scripts: string): Promise<ServerPeer> {
  const [port = 0] = await freePorts(1)
  const directory = await peerDirectory('s3')
  const running = await startPeer([join(scripts, 's3'), 'run', join(directory, 'data'), `${port}`], { directory })
  const url = `http://127.0.0.1:${port}`
  // an unsigned request is refused, by whichever server was chosen: any answer means that it listens
  await waitReady(running, async () => (await fetch(url)).status > 0, { timeoutMs: READY_TIMEOUT_MS })
  return { url, stop: () => running.stop() }
}
