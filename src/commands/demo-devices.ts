import { setTimeout as delay } from 'node:timers/promises'
import { loadMessageType } from '../decode/schema-source.ts'
import { DemoCluster } from '../kafka/demo-cluster.ts'
import { deadLetterTopic, simulatedReadings, topic } from './simulated-readings.ts'

/** Demo to devices. `settled`: records that are rows or dead letters by now; the devices wait when they are far ahead of it. */
export type DeviceOrder =
  | {
      readonly kind: 'start'
      readonly rate: number
      readonly protoFile: string
      readonly message: string
    }
  | { readonly kind: 'settled'; readonly records: number }
  | { readonly kind: 'stop' }
  | { readonly kind: 'exit' }

/** Devices to demo. */
export type DeviceReport =
  | { readonly kind: 'cluster'; readonly brokers: string }
  | { readonly kind: 'produced'; readonly records: number; readonly final: boolean }

/** The mock cluster drops the oldest of more than 100,000 records a partition: the devices stay far below, over 4 partitions. */
const aheadMax = 120_000
const tickMs = 10

/**
 * The demo's other process: the embedded broker and the devices that write to it. A process of its own, because the
 * producer's work would otherwise share the daemon's main thread.
 */
async function main(): Promise<void> {
  const cluster = await DemoCluster.start([topic, deadLetterTopic])
  let settled = 0
  let stopping = false
  let producing: Promise<void> = Promise.resolve()
  process.on('message', (order: DeviceOrder) => {
    if (order.kind === 'start') producing = produce(order)
    else if (order.kind === 'settled') settled = order.records
    else if (order.kind === 'stop') stopping = true
    else void producing.then(() => cluster.stop()).finally(() => process.exit(0))
  })
  // The demo is gone, so are we. Ctrl-C goes to both of us; the demo decides what it means.
  process.on('disconnect', () => process.exit(0))
  process.on('SIGINT', () => undefined)
  tell({ kind: 'cluster', brokers: cluster.brokers })

  async function produce({ rate, protoFile, message }: DeviceOrder & { kind: 'start' }): Promise<void> {
    const type = await loadMessageType({ files: [protoFile], message })
    const readings = simulatedReadings(type, 7)
    let produced = 0
    let next = readings.next().value
    const startedAt = performance.now()
    let heldMs = 0
    while (!stopping) {
      await delay(tickMs)
      if (produced - settled > aheadMax) {
        heldMs += tickMs
        continue
      }
      const due = Math.min(((performance.now() - startedAt - heldMs) * rate) / 1000, settled + aheadMax)
      while (produced < due && cluster.produce(topic, next.key, next.value)) {
        produced++
        next = readings.next().value
      }
      tell({ kind: 'produced', records: produced, final: false })
    }
    await cluster.flush(30_000)
    tell({ kind: 'produced', records: cluster.delivered, final: true })
  }
}

const tell = (report: DeviceReport): void => void process.send?.(report)

await main()
