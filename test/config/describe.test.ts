import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { configHelp, configMarkdown } from '../../src/config/describe.ts'
import { variableName } from '../../src/config/environment.ts'
import { configSchema, propertiesOf, routeSchema } from '../../src/config/schema.ts'
import { packageRoot } from '../../src/package-root.ts'
import { sinkOptions } from '../../src/sinks/sink-catalog.ts'

test('docs/CONFIG.md is what the schema says; else run scripts/generate-config-docs.mjs', () => {
  assert.equal(readFileSync(new URL('docs/CONFIG.md', packageRoot), 'utf8'), configMarkdown(sinkOptions))
})

test('every key and every option is documented', () => {
  const markdown = configMarkdown(sinkOptions)
  for (const [place] of [...propertiesOf(configSchema), ...propertiesOf(routeSchema)]) {
    // The doc strings of these two lead their chapters.
    const name = place.join('.')
    if (name !== 'routes' && name !== 'sinks') assert.ok(markdown.includes(`| \`${name}\` |`), name)
    assert.ok(configHelp().includes(` ${name} `) || configHelp().includes(` routes[].${name} `), name)
  }
  for (const [type, options] of Object.entries<object>(sinkOptions)) {
    assert.ok(markdown.includes(`### type: ${type}\n`))
    for (const option of Object.keys(options)) assert.ok(markdown.includes(`| \`${option}\` |`), option)
  }
})

test('no two keys have one variable', () => {
  const variables = propertiesOf(configSchema).map(([place]) => variableName(place))
  assert.equal(new Set(variables).size, variables.length)
})

test('a variable is named for the place of its key', () => {
  assert.equal(variableName(['kafka', 'security', 'keyPassword']), 'MILLRACE_KAFKA_SECURITY_KEY_PASSWORD')
})
