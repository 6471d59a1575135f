import { readdirSync, readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { join, posix, relative, sep } from 'node:path'
import ts from 'typescript'
import { projectRoot } from './kafka-installation.ts'

/** One thing a source file takes from elsewhere. */
export interface Import {
  /** A path from the root of the project, such as `src/errors.ts`, or the name of a package, without its subpath. */
  readonly target: string
  readonly kind: 'file' | 'package'
  /** False for what the compiler erases: `import type`. */
  readonly value: boolean
  /**
   * By address, for a thread or process of its own: `new URL('./worker.js', import.meta.url)`. It does not share the
   * importer's thread, so rules about threads begin anew there.
   */
  readonly apart: boolean
}

export interface SourceFile {
  /** From the root of the project, with slashes. */
  readonly path: string
  readonly text: string
  readonly syntax: ts.SourceFile
  readonly imports: readonly Import[]
}

const sourceFolders = ['src', 'test', 'bench', 'scripts']

/** Every file in the folders of code, whatever its kind. Not what a build left there. */
export function listFiles(): string[] {
  const root = projectRoot()
  return sourceFolders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(root, join(entry.parentPath, entry.name)).split(sep).join('/'))
      .filter((path) => !path.includes('/build/') && !path.includes('/results/')),
  )
}

/** The TypeScript files below `folder`, parsed. */
export function readSources(folder: string): SourceFile[] {
  const paths = listFiles().filter((path) => path.startsWith(`${folder}/`) && path.endsWith('.ts'))
  return paths.map((path) => {
    const text = readFileSync(join(projectRoot(), path), 'utf8')
    const syntax = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true)
    return { path, text, syntax, imports: importsOf(path, syntax) }
  })
}

/** Calls `visit` for every node below `node`. */
export function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node)
  ts.forEachChild(node, (child) => walk(child, visit))
}

function importsOf(path: string, syntax: ts.SourceFile): Import[] {
  const imports: Import[] = []
  const add = (specifier: ts.Node | undefined, value: boolean, apart = false) => {
    const text = specifier && literalText(specifier)
    const found = text === undefined ? undefined : resolve(path, text, apart)
    if (found) imports.push({ ...found, value, apart })
  }
  walk(syntax, (node) => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, node.importClause?.isTypeOnly !== true)
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, !node.isTypeOnly)
    else if (ts.isImportTypeNode(node))
      add(ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined, false)
    else if (ts.isCallExpression(node) && isLoad(node.expression)) add(node.arguments[0], true)
    else if (ts.isNewExpression(node) && node.expression.getText() === 'URL' && isOwnAddress(node.arguments?.[1])) {
      add(node.arguments?.[0], true, true)
    }
  })
  return imports
}

const isLoad = (callee: ts.Expression) =>
  callee.kind === ts.SyntaxKind.ImportKeyword ||
  callee.getText() === 'require' ||
  callee.getText() === 'require.resolve'

const isOwnAddress = (node: ts.Node | undefined) => node?.getText() === 'import.meta.url'

/** Of a template only what stands before its first hole: enough for `./worker${extname(...)}` and `package/${file}`. */
function literalText(node: ts.Node): string | undefined {
  if (ts.isStringLiteralLike(node)) return node.text
  return ts.isTemplateExpression(node) ? node.head.text : undefined
}

function resolve(from: string, specifier: string, apart: boolean): Pick<Import, 'target' | 'kind'> | undefined {
  if (specifier.startsWith('.')) {
    const target = posix.join(posix.dirname(from), specifier).replace(/\.js$/, '')
    if (apart && target.endsWith('/')) return undefined
    return { kind: 'file', target: /\.[a-z]+$/.test(target) ? target : `${target}.ts` }
  }
  if (apart || specifier.startsWith('node:') || builtinModules.includes(specifier)) return undefined
  const parts = specifier.split('/')
  return { kind: 'package', target: parts.slice(0, specifier.startsWith('@') ? 2 : 1).join('/') }
}
