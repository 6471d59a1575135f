import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, visit } from 'yaml'
import type { Document, YAMLError } from 'yaml'
import { ConfigError } from '../errors.ts'
import type { Place } from './problems.ts'

export interface Source {
  readonly value: unknown
  /** The line of the key or item at this place, or of the nearest one around it that is in the file. */
  readonly lineOf: (place: Place) => number | undefined
}

/**
 * Parses YAML or JSON, or throws a ConfigError with every syntax error. JSON is read by the YAML parser too, for the
 * line numbers and for doubled keys, which JSON.parse takes without a word.
 */
export function parseSource(text: string, name: string, format: 'yaml' | 'json'): Source {
  const lines = new LineCounter()
  // prettyErrors would quote the line in the message, and with it perhaps a password. Merge keys (`<<`) serve routes
  // that share their decode section.
  const document = parseDocument(text, { prettyErrors: false, lineCounter: lines, merge: true, logLevel: 'error' })
  const lineAt = (offset: number): number => lines.linePos(offset).line
  // An unknown tag is only a warning to the parser, but it turns `password: !text` into an empty password.
  const problems = [...document.errors, ...document.warnings].map((error) => ({
    path: `line ${lineAt(error.pos[0])}`,
    message: syntaxSentence(error),
  }))
  visit(document, {
    Alias: (_, alias) => {
      // Its name is not repeated: it was a password if the quotes were forgotten.
      if (alias.resolve(document) !== undefined) return
      const message = 'a value that begins with `*` must be put in quotes, unless it repeats one marked with `&`'
      problems.push({ path: `line ${lineAt(alias.range![0])}`, message })
    },
  })
  if (problems.length > 0) throw new ConfigError(name, problems)
  if (format === 'json') refuseNoJson(text, name)
  return { value: valueOf(document, name), lineOf: (place) => lineOf(document, place, lineAt) }
}

// The parser's own messages are not passed on: some repeat what is in the file.
const sentences: Readonly<Record<string, string>> = {
  BAD_INDENT: 'the indentation is not that of the lines around it',
  BAD_SCALAR_START: 'a value that begins with this character must be put in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'a value that holds `: ` must be put in quotes',
  DUPLICATE_KEY: 'the key is there twice',
  MISSING_CHAR: 'a closing quote, bracket or colon is missing',
  MULTIPLE_DOCS: 'the file must hold one document only, without `---` between parts',
  TAB_AS_INDENT: 'tabs cannot indent YAML; use spaces',
  TAG_RESOLVE_FAILED: 'a value that begins with `!` must be put in quotes',
}

const syntaxSentence = ({ code }: YAMLError): string => sentences[code] ?? `does not parse (${code})`

function refuseNoJson(text: string, name: string): void {
  try {
    JSON.parse(text.replace(/^\uFEFF/, ''))
  } catch {
    // No cause: V8's message quotes the text.
    throw new ConfigError(name, [{ path: '', message: 'is not JSON; to write YAML, let its name end in .yaml' }])
  }
}

function valueOf(document: Document.Parsed, name: string): unknown {
  try {
    return document.toJS()
  } catch (cause) {
    if (!(cause instanceof ReferenceError)) throw cause
    throw new ConfigError(name, [{ path: '', message: 'aliases repeat too much; write the values out' }])
  }
}

function lineOf(document: Document.Parsed, place: Place, lineAt: (offset: number) => number): number | undefined {
  let node: unknown = document.contents
  let offset: number | undefined
  for (const part of place) {
    if (isAlias(node)) node = node.resolve(document)
    let next: unknown
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(part))
      if (pair === undefined) break
      offset = isScalar(pair.key) ? pair.key.range?.[0] : offset
      next = pair.value
    } else if (isSeq(node) && typeof part === 'number') {
      next = node.items[part]
      offset = (next as { range?: readonly number[] } | undefined)?.range?.[0] ?? offset
    }
    node = next
  }
  return offset === undefined ? undefined : lineAt(offset)
}
