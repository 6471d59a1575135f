import { hasVariable, variableName } from './environment.ts'
import { formats } from './formats.ts'
import type { Property } from './formats.ts'
import { configSchema, isProperty, propertiesOf, routeSchema } from './schema.ts'
import type { Section, SinkOptions } from './schema.ts'
import { sinkSchema } from './sink-options.ts'

/** The whole of docs/CONFIG.md. */
export function configMarkdown(sinkOptions: SinkOptions): string {
  const { routes, sinks, ...rest } = configSchema
  const sections = Object.entries(rest).filter(([, node]) => !isProperty(node))
  const single = Object.fromEntries(Object.entries(rest).filter(([, node]) => isProperty(node)))
  const sinkTables = Object.keys(sinkOptions).flatMap((type) => {
    const { type: _, ...options } = sinkSchema(type, sinkOptions)!
    const isEmpty = Object.keys(options).length === 0
    return [`### type: ${type}`, isEmpty ? 'No options.' : table(options, [], { variables: false })]
  })
  const sectionTables = sections.map(([key, node]) => [`## ${key}`, table(node as Section, [key], { variables: true })])
  const [kafka = [], ...others] = sectionTables
  return (
    [
      introduction,
      ...kafka,
      '## routes',
      `${(routes as Property).doc} A list; each item has:`,
      table(routeSchema, [], { variables: false }),
      '## sinks',
      `${(sinks as Property).doc} ${sinksNote}`,
      ...sinkTables,
      ...others.flat(),
      '## reader and workers',
      table(single, [], { variables: true }),
      '<!-- prettier-ignore-end -->',
    ].join('\n\n') + '\n'
  )
}

/** Every key in a line, for the terminal. */
export function configHelp(): string {
  const lines = [...propertiesOf(configSchema), ...propertiesOf(routeSchema).map(inRoutes)].map(([place, property]) => {
    const value = property.required === undefined ? defaultText(property) : 'required'
    return `  ${place.join('.').padEnd(29)} ${value.padEnd(11)} ${property.doc.split(/(?<=\.) /)[0]}`
  })
  return [
    'Keys of the configuration file, their defaults, and what they mean; docs/CONFIG.md says more.',
    ...lines,
    '',
  ].join('\n')
}

const inRoutes = ([place, property]: [readonly string[], Property]): [readonly string[], Property] => [
  ['routes[]', ...place],
  property,
]

const introduction = `# Configuration

<!-- Written by scripts/generate-config-docs.mjs from src/config/schema.ts and the sinks' options. Do not edit. -->
<!-- prettier-ignore-start -->

\`millrace run --config FILE\` reads one file: JSON when its name ends in \`.json\`, YAML otherwise.
[config/default.yaml](../config/default.yaml) is one to begin with. \`millrace check --config FILE\` reports everything that is
wrong with it, each with its line and its cure.

- **Environment.** A variable sets the key in whose row it stands and wins over the file; an empty one counts as not set. An
  unknown \`MILLRACE_\` variable is an error, except those that Kubernetes sets for Services.
- **Secrets.** In any text of the file, and of a \`MILLRACE_\` variable, \`\${env:NAME}\` stands for an environment variable and
  \`\${file:PATH}\` for what is in a file, without the newline at its end. A plain \`\${\` is written \`$\${\`. Keys marked
  secret are masked wherever the configuration is shown, and neither they nor replaced values are ever part of an error.
- **Paths.** Those of \`decode.files\`, \`decode.includes\`, \`ca\`, \`certificate\`, \`key\` and \`\${file:PATH}\` start at the folder of
  the configuration file, so that it can be moved together with them. Those of sinks start at the working directory.
- **Sizes** are bytes, or a text such as \`8MiB\` (1024 KiB) or \`512 MB\` (1000 kB). **Durations** are whole milliseconds.
- Unknown keys are errors. A key without a value counts as not set. YAML anchors and merge keys (\`<<\`) work.`

const sinksNote = `A mapping of names to sections; a section's \`type\` says which of the following options it has. None of
them has an environment variable of its own: use \`\${env:NAME}\`.`

function table(section: Section, place: readonly string[], { variables }: { variables: boolean }): string {
  const head = ['Key', 'Type', 'Default', ...(variables ? ['Environment'] : []), 'Meaning']
  const rows = propertiesOf(section, place).map(([at, property]) => [
    `\`${at.join('.')}\``,
    formats[property.format].describe(property),
    property.required === undefined ? code(defaultText(property)) : '**required**',
    ...(variables ? [hasVariable(property) ? `\`${variableName(at)}\`` : ''] : []),
    [property.doc, ...(property.sensitive === true ? ['**Secret.**'] : [])].join(' '),
  ])
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.map(escaped).join(' | ')} |`).join('\n')
}

const code = (text: string): string => (text === '' ? '' : `\`${text}\``)

const escaped = (cell: string): string => cell.replaceAll('|', '\\|')

function defaultText({ default: value }: Property): string {
  if (value === undefined) return ''
  if (Array.isArray(value)) return value.length === 0 ? '' : value.join(', ')
  return typeof value === 'string' ? value : JSON.stringify(value)
}
