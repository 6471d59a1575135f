import type { RouteConfig } from './config/schema.ts'
import { planRoute } from './decode/create-decoder.ts'
import { schemaFaults } from './decode/schema-change.ts'
import { sameFiles, SchemaFiles } from './decode/schema-files.ts'
import type { SchemaSnapshot } from './decode/schema-files.ts'
import type { TablePlan } from './decode/table-plan.ts'
import { messageChain, SchemaError } from './errors.ts'

interface RouteSchema {
  readonly route: RouteConfig
  readonly plan: TablePlan
  readonly files: SchemaSnapshot
}

/** Routes whose files have changed, with what they hold now. */
export type ChangedSchemas = readonly RouteSchema[]

/**
 * The schema that each route is decoded by: as its files were when the daemon read them, and not as they are on the disk by
 * now. So all workers of a route agree, a worker that is replaced too.
 */
export class RouteSchemas {
  readonly #schemas: Map<string, RouteSchema>

  private constructor(schemas: readonly RouteSchema[]) {
    this.#schemas = new Map(schemas.map((schema) => [schema.route.name, schema]))
  }

  /** Rejects with SchemaError for the first route whose schema cannot be used. */
  static async load(routes: readonly RouteConfig[]): Promise<RouteSchemas> {
    const schemas: RouteSchema[] = []
    for (const route of routes) schemas.push(await loadSchema(route))
    return new RouteSchemas(schemas)
  }

  filesOf(route: string): SchemaSnapshot {
    return this.#schemas.get(route)!.files
  }

  /**
   * What has changed on the disk since. Rejects with a SchemaError that names every fault of every route, when one of them
   * cannot be used or cannot take the place of the old one.
   */
  async changed(): Promise<ChangedSchemas> {
    const changed: RouteSchema[] = []
    const faults: string[] = []
    for (const old of this.#schemas.values()) {
      try {
        const fresh = await loadSchema(old.route)
        if (sameFiles(fresh.files, old.files)) continue
        changed.push(fresh)
        const found = schemaFaults(old.plan.type, fresh.plan.type)
        if (found.length > 0) faults.push(`route ${old.route.name}: ${found.join('; ')}`)
      } catch (error) {
        faults.push(`route ${old.route.name}: ${messageChain(error)}`)
      }
    }
    if (faults.length > 0) throw new SchemaError(faults.join('; '))
    return changed
  }

  adopt(schemas: ChangedSchemas): void {
    for (const schema of schemas) this.#schemas.set(schema.route.name, schema)
  }
}

async function loadSchema(route: RouteConfig): Promise<RouteSchema> {
  const files = new SchemaFiles()
  const plan = await planRoute(route.decode, route.metadata, route.columns, files)
  return { route, plan, files: files.snapshot }
}
