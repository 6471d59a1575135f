import { isUtf8 } from 'node:buffer'
import pg from 'pg'
import type { Column, TableSchema } from '../../decode/columns.ts'
import { SinkRefusedError } from '../../errors.ts'
import { CopyEncoder } from './copy-encoder.ts'
import type { CopyRows } from './copy-encoder.ts'
import type { PostgresConnection } from './postgres-connection.ts'
import type { TableField } from './postgres-table.ts'
import { copyStatement } from './table-writer.ts'
import type { RowRange } from './table-writer.ts'

/** Gone with its transaction: so it may be of the same name in each, and in whatever session a pooler gives us. */
export const stage = 'pg_temp.millrace_stage'
/** Of the staging table: true for a key whose row goes, null for a row. */
export const deleted = '"millrace deleted"'

/** The metadata columns by which newer is told from older; the last two count where they are stored. */
export const offsetColumn = '_offset'
export const partitionColumn = '_partition'
export const topicColumn = '_topic'

/** Puts deletes beside the rows of a staging table: a key and where it was deleted, and nothing else. */
export class StagedDeletes {
  readonly #text: boolean
  readonly #partition: boolean
  readonly #topic: boolean
  readonly #statement: string
  readonly #encoder: CopyEncoder

  /** Rejects a key that cannot be what the Kafka key holds. */
  constructor(fields: readonly TableField[], { name, columns, rules }: TableSchema) {
    const key = columns.find((column) => column.name === rules.keys[0])
    const field = fields.find((each) => each.name === rules.keys[0])
    // Of a Kafka key nothing says that it fits into something narrower.
    const narrow = field?.lengthMax !== undefined || field?.encoding.form === 'uuid'
    if (rules.keys.length !== 1 || !key || !field || !['string', 'bytes'].includes(key.type) || narrow) {
      const need = 'table.deletes needs one key, of text or bytes without a length, that holds what the Kafka key holds'
      throw new SinkRefusedError(`table ${name}: ${need}: such as \`_key\`, with \`key\` in \`metadata\``)
    }
    const has = (column: string) => columns.some((each) => each.name === column)
    this.#text = key.type === 'string'
    this.#partition = has(partitionColumn)
    this.#topic = has(topicColumn)
    const names = [
      pg.escapeIdentifier(key.name),
      deleted,
      pg.escapeIdentifier(offsetColumn),
      ...(this.#partition ? [pg.escapeIdentifier(partitionColumn)] : []),
      ...(this.#topic ? [pg.escapeIdentifier(topicColumn)] : []),
    ]
    this.#statement = copyStatement(stage, names)
    const encodingOf = (column: string) => fields.find((each) => each.name === column)!.encoding
    this.#encoder = new CopyEncoder([
      field.encoding,
      { form: 'bool' },
      encodingOf(offsetColumn),
      ...(this.#partition ? [encodingOf(partitionColumn)] : []),
      ...(this.#topic ? [encodingOf(topicColumn)] : []),
    ])
  }

  async write(connection: PostgresConnection, ranges: readonly RowRange[]): Promise<void> {
    const rows = ranges.map((range) => this.#rowsOf(range)).filter(({ from, to }) => from < to)
    if (rows.length > 0) await connection.copy(this.#statement, this.#encoder.rows(rows))
  }

  #rowsOf({ batch, deletesFrom }: RowRange): CopyRows {
    const { offsets = new Float64Array(0), keys = emptyKeys } = batch.deletes ?? {}
    const kept: number[] = []
    for (let at = deletesFrom; at < offsets.length; at++) if (!this.#text || isText(keys, at)) kept.push(at)
    const fixed = (values: BigInt64Array | Int32Array | Uint8Array): Column => ({
      kind: 'fixed',
      values,
      validity: undefined,
    })
    const columns = [
      texts(kept.map((at) => keys.bytes.subarray(keys.offsets[at], keys.offsets[at + 1]))),
      fixed(new Uint8Array(kept.length).fill(1)),
      fixed(BigInt64Array.from(kept, (at) => BigInt(offsets[at]!))),
      ...(this.#partition ? [fixed(new Int32Array(kept.length).fill(batch.partition))] : []),
      ...(this.#topic ? [texts(kept.map(() => Buffer.from(batch.topic)))] : []),
    ]
    return { columns, from: 0, to: kept.length }
  }
}

type Variable = Column & { readonly kind: 'variable' }

const texts = (values: readonly Uint8Array[]): Variable => {
  const offsets = new Uint32Array(values.length + 1)
  values.forEach((value, index) => (offsets[index + 1] = offsets[index]! + value.length))
  return { kind: 'variable', offsets, bytes: Buffer.concat(values), validity: undefined }
}

const emptyKeys = texts([])

/** A key that is no text is that of no row: there is nothing to delete. */
function isText({ offsets, bytes }: Variable, at: number): boolean {
  const key = bytes.subarray(offsets[at], offsets[at + 1])
  return isUtf8(key) && !key.includes(0)
}
