import { describeSinkContract } from '../sink-contract.ts'
import { createDuckDbStore, duckDbAble } from './duckdb-store.ts'

describeSinkContract('DuckDbSink', duckDbAble, createDuckDbStore)
