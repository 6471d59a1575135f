import { failPlaces } from '../../src/fail-points.ts'
import { describeCrashMatrix } from '../chaos/describe-crash-matrix.ts'
import { DuckDbStore } from '../chaos/duckdb-store.ts'

describeCrashMatrix('DuckDB', failPlaces, async (folder) => new DuckDbStore(folder))
