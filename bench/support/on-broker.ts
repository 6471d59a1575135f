import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Daemon } from '../../test/support/daemon.ts'

/** Plays with a broker and a folder of its own, and leaves neither, nor a daemon, behind. */
export async function onBroker<Broker extends { stop(): Promise<void> }>(
  starting: Promise<Broker>,
  play: (broker: Broker, folder: string) => Promise<void>,
): Promise<void> {
  const broker = await starting
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  try {
    await play(broker, folder)
  } finally {
    await Daemon.endAll()
    rmSync(folder, { recursive: true, force: true })
    await broker.stop()
  }
}
