import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { queryDuckDb } from '../../src/sinks/duckdb/duckdb-query.ts'
import { Daemon } from '../support/daemon.ts'
import { sharedKafkaBroker, uniqueName } from '../support/kafka-broker.ts'
import type { SharedKafkaBroker } from '../support/kafka-broker.ts'
import { readingsConfig } from '../support/readings-config.ts'
import { writeReadings } from '../support/readings.ts'

const partitions = 8
const recordsAStage = 30_000

let broker: SharedKafkaBroker
let folder: string

before(async () => {
  broker = await sharedKafkaBroker()
  folder = mkdtempSync(join(tmpdir(), 'millrace-group-'))
})
after(async () => {
  await Daemon.endAll()
  rmSync(folder, { recursive: true, force: true })
  await broker.stop()
})

const protocols: { name: string; properties: object }[] = [
  { name: 'cooperative-sticky', properties: {} },
  { name: 'range (eager)', properties: { 'partition.assignment.strategy': 'range' } },
  { name: 'the consumer protocol of KIP-848', properties: { 'group.protocol': 'consumer' } },
]

for (const reader of ['native', 'binding']) {
  for (const { name, properties } of protocols) {
    describe(`two daemons of one group, ${name}, ${reader} reader`, () => {
      test('no record is missed, and none doubled in its file, when the second joins and leaves while records flow', async () => {
        const topic = uniqueName('readings')
        const dead = uniqueName('dead')
        const group = uniqueName('group')
        await broker.createTopic(topic, partitions)
        await broker.createTopic(dead, 1)
        const start = (member: string) =>
          Daemon.start(
            join(folder, `${group}-${member}.json`),
            readingsConfig(
              {
                bootstrap: broker.bootstrap,
                group,
                topic,
                deadLetterTopic: dead,
                sink: { type: 'duckdb', path: join(folder, `${group}-${member}.duckdb`) },
                properties,
              },
              { reader, batch: { maxRecords: 1000 } },
            ),
          )
        let good = 0n
        const write = async () => {
          const { records, broken } = await writeReadings(broker.bootstrap, topic, partitions, recordsAStage)
          good += BigInt(records - broken.size)
        }
        const first = await start('first')
        await write()
        await first.metricReaches('millrace_rows_written_total', 1)
        const [second] = await Promise.all([start('second'), write()])
        await second.logged('partition started')
        await write()
        await second.metricReaches('millrace_rows_written_total', 1)
        const [code] = await Promise.all([second.stop(), write()])
        assert.equal(code, 0, second.output)

        const ends = await broker.endOffsets(topic)
        assert.equal(
          ends.reduce((sum, end) => sum + end, 0),
          4 * recordsAStage,
        )
        await first.metricReaches('millrace_committed_offset', 4 * recordsAStage)
        assert.equal(await first.stop(), 0, first.output)
        assert.deepEqual(await broker.committed(group, topic), ends)

        // Two files, so a partition that came back is filled from the first one's own position: no row is missed over
        // both, and none is in one of them twice.
        const files = ['first', 'second'].map((member) => join(folder, `${group}-${member}.duckdb`))
        const [seen] = await queryDuckDb(
          files[0]!,
          `attach '${files[1]}' as second (read_only);
           select count(distinct (_partition, _offset)) as places
           from (select _partition, _offset from readings union all select _partition, _offset from second.readings)`,
        )
        assert.deepEqual(seen, { places: good }, `${first.output}\n---\n${second.output}`)
        for (const file of files) {
          const [twice] = await queryDuckDb(
            file,
            'select count(*) - count(distinct (_partition, _offset)) as doubled from readings',
          )
          assert.deepEqual(twice, { doubled: 0n }, file)
        }
      })
    })
  }
}
