import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import ts from 'typescript'
import { projectRoot } from './support/kafka-installation.ts'
import { listFiles, readSources, walk } from './support/source-tree.ts'
import type { SourceFile } from './support/source-tree.ts'

// The shape of the tree, which no linter knows of. Why each rule is there: CONTRIBUTING.md.

const stages = ['kafka', 'lanes', 'decode', 'sinks']
/** Errors cross every stage, and the places where a test may let it fail lie in all of them. */
const freeForAll = ['src/errors.ts', 'src/fail-points.ts']

/** The places that may import a package. A new dependency argues its case, and gets one owner. */
const owners: Readonly<Record<string, readonly string[]>> = {
  '@confluentinc/kafka-javascript': ['src/kafka/'],
  '@duckdb/node-api': ['src/sinks/duckdb/'],
  // The same, one layer lower: its types of columns are what the first does not show.
  '@duckdb/node-bindings': ['src/sinks/duckdb/'],
  commander: ['src/commands/', 'src/cli.ts'],
  convict: ['src/config/'],
  // Two stages give hints on misspelt names, and neither may import the other.
  'fastest-levenshtein': ['src/config/', 'src/decode/'],
  pg: ['src/sinks/postgres/'],
  pino: ['src/observe/'],
  'pino-pretty': ['src/observe/'],
  piscina: ['src/workers/'],
  'prom-client': ['src/observe/'],
  protobufjs: ['src/decode/'],
  yaml: ['src/config/'],
}
/** Built by setup and needed at no run: it has no owner. */
const buildOnly = ['node-gyp', 'nan']

/** What loads native Kafka code, which works in the main thread alone. */
const mainThreadOnly = ['@confluentinc/kafka-javascript', 'src/kafka/native-addon.ts']
const workerEntry = 'src/workers/worker.ts'

const sources = readSources('src')
const sourceAt = new Map(sources.map((source) => [source.path, source]))
const tests = [...readSources('test'), ...readSources('bench')]

test('a stage imports only types of the other stages', () => {
  const wrong = sources.flatMap(({ path, imports }) => {
    const stage = stageOf(path)
    if (stage === undefined) return []
    const foreign = imports.filter(({ target, value }) => value && (stageOf(target) ?? stage) !== stage)
    return foreign
      .filter(({ target }) => !freeForAll.includes(target))
      .map(
        ({ target }) => `${path} imports a value of ${target}: import its type, and let pipeline.ts pass the value in`,
      )
  })
  none(wrong)
})

test('each package is imported by its owner only', () => {
  const wrong = sources.flatMap(({ path, imports }) =>
    imports
      .filter(({ kind, target }) => kind === 'package' && !owners[target]?.some((owner) => path.startsWith(owner)))
      .map(({ target }) => {
        const cure = owners[target] ? `ask ${owners[target].join(' or ')} for what you need` : 'give it an owner here'
        return `${path} imports ${target}: ${cure}`
      }),
  )
  none(wrong)
})

test('each dependency in package.json has an owner that imports it', () => {
  const imported = new Set(sources.flatMap(({ imports }) => imports.map(({ target }) => target)))
  const { dependencies } = JSON.parse(readFileSync(join(projectRoot(), 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>
  }
  const unused = Object.keys(dependencies).filter((name) => !imported.has(name) && !buildOnly.includes(name))
  none(unused.map((name) => `package.json depends on ${name}, which nothing in src imports: remove it`))
})

test('no worker reaches the Kafka addons, which work in the main thread alone', () => {
  const starts = sources.filter(({ path }) => path === workerEntry || /^src\/(decode|sinks)\//.test(path))
  assert.ok(starts.length > 1, `nothing to follow: has ${workerEntry} moved?`)
  const wrong = starts.flatMap(({ path }) => {
    const reached = follow([path], ({ value, apart }) => value && !apart)
    const native = mainThreadOnly.find((target) => reached.has(target))
    return native ? [`${trail(reached, native)}: import a type, or move what is shared out of src/kafka`] : []
  })
  none(wrong)
})

test('every source file is used by the command line, a worker or a script', () => {
  const scripts = listFiles().filter((path) => path.endsWith('.mjs'))
  const called = scripts.flatMap((path) => {
    const named = readFileSync(join(projectRoot(), path), 'utf8').matchAll(/((?:[\w-]+\/)+[\w-]+)\.js\b/g)
    const files = [...named].map((match) => `src/${match[1]?.replace(/^.*\bsrc\//, '')}.ts`)
    return files.filter((file) => sourceAt.has(file))
  })
  const reached = follow(['src/cli.ts', ...called], () => true)
  const unused = sources.filter(({ path }) => !reached.has(path))
  none(unused.map(({ path }) => `${path} is reached from nowhere: delete it, or use it`))
})

test('a file is named for what it holds', () => {
  const vague = /(^|\/)(utils?|helpers?|common|types?|index|misc|shared)\.\w+$|\/(utils?|helpers?|common|misc)\//
  none(listFiles().flatMap((path) => (vague.test(path) ? [`${path}: name it for its main export`] : [])))
})

test('file names are in kebab-case', () => {
  const kebab = /^(.*\/)?[a-z0-9]+(-[a-z0-9]+)*(\.(test|model\.test|bench|worker|d))?\.\w+$/
  const code = listFiles().filter((path) => /\.(ts|mjs|js|cc|h|json|proto|py)$/.test(path) && !path.endsWith('.d.ts'))
  const wrong = code.filter((path) => !kebab.test(path) && !path.endsWith('.py'))
  none(wrong.map((path) => `${path}: rename it like offset-watermark.ts`))
})

test('nothing is left to be done later', () => {
  const marks = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X'].join('|')})\\b`)
  const wrong = listFiles().flatMap((path) => {
    const lines = readFileSync(join(projectRoot(), path), 'utf8').split('\n')
    return lines.flatMap((line, index) =>
      marks.test(line) ? [`${path}:${index + 1}: do it now, or write an issue`] : [],
    )
  })
  none(wrong)
})

test('no test is skipped or favoured', () => {
  none(tests.flatMap(exemptions))
})

function stageOf(path: string): string | undefined {
  return stages.find((stage) => path.startsWith(`src/${stage}/`))
}

function none(wrong: readonly string[]): void {
  assert.equal(wrong.length, 0, `\n${wrong.join('\n')}`)
}

/** All that can be reached through imports that `takes` allows, each with the file that it was first reached from. */
function follow(
  starts: readonly string[],
  takes: (found: SourceFile['imports'][number]) => boolean,
): Map<string, string | undefined> {
  const reached = new Map<string, string | undefined>(starts.map((path) => [path, undefined]))
  // A Map's iteration goes on to what is added meanwhile.
  for (const path of reached.keys()) {
    for (const found of sourceAt.get(path)?.imports ?? []) {
      if (takes(found) && !reached.has(found.target)) reached.set(found.target, path)
    }
  }
  return reached
}

function trail(reached: ReadonlyMap<string, string | undefined>, target: string): string {
  const steps = [target]
  for (let at = reached.get(target); at !== undefined; at = reached.get(at)) steps.unshift(at)
  return steps.join(' -> ')
}

/** `test.skip(...)`, `describe.only(...)`, `test(name, { skip: true }, ...)`, `context.skip()` and their like. */
function exemptions({ path, syntax }: SourceFile): string[] {
  const found: string[] = []
  walk(syntax, (node) => {
    if (!ts.isCallExpression(node)) return
    const callee = node.expression
    const method = ts.isPropertyAccessExpression(callee) ? callee : undefined
    const options = node.arguments.filter(ts.isObjectLiteralExpression).flatMap(({ properties }) => [...properties])
    const asMethod = method !== undefined && isExemption(method.name.text) && isTestish(method.expression)
    const asOption = isTestish(callee) && options.some(({ name }) => name !== undefined && isExemption(name.getText()))
    if (!asMethod && !asOption) return
    const line = syntax.getLineAndCharacterOfPosition(node.getStart()).line + 1
    found.push(`${path}:${line}: a test that does not run proves nothing: mend it or delete it`)
  })
  return found
}

const isExemption = (name: string) => ['only', 'skip', 'todo'].includes(name)

const isTestish = (node: ts.Expression) => /^(test|it|describe|suite|t|context)$/.test(node.getText())
