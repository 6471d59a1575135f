import { defineConfig, globalIgnores } from 'eslint/config'
import tseslint from 'typescript-eslint'

// Only what finds faults: layout is prettier's, and the shape of the tree is test/tidy.test.ts's.
export default defineConfig(
  globalIgnores(['dist/', '.cache/', 'node_modules/', '**/build/', 'bench/results/']),
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      // A promise nobody waits for is an error nobody hears of: the one rule a daemon cannot do without. `void` marks
      // the promises that answer for themselves.
      '@typescript-eslint/no-floating-promises': ['error', { allowForKnownSafeCalls: nodeTestCalls() }],
      // tsc refuses unused names already, and lets `_name` be.
      '@typescript-eslint/no-unused-vars': 'off',
      // An async function without await is how an implementation keeps to an interface that others need to wait for.
      '@typescript-eslint/require-await': 'off',
      // The Kafka binding declares its errors as plain objects, though they are Errors; rejecting with them is right.
      '@typescript-eslint/prefer-promise-reject-errors': 'off',
      // Whatever was thrown must become some text; objects in messages are found by the next rule.
      '@typescript-eslint/no-base-to-string': 'off',
      // A bigint, a number, a boolean may stand in a message as they are; an object would read [object Object].
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
    },
  },
  {
    files: ['**/*.js', '**/*.mjs'],
    extends: [tseslint.configs.eslintRecommended],
    rules: { 'no-undef': 'off', 'prefer-const': 'error', 'no-var': 'error' },
  },
)

/** node:test waits for them itself. */
function nodeTestCalls() {
  const name = ['test', 'describe', 'it', 'suite', 'before', 'after', 'beforeEach', 'afterEach']
  return [{ from: 'package', package: 'node:test', name }]
}
