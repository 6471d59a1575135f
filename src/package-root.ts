import { existsSync } from 'node:fs'

/** The folder of package.json, as a URL that ends in a slash: where proto/ and the addon are, wherever we are compiled to. */
export const packageRoot: URL = findPackageRoot(new URL('./', import.meta.url))

function findPackageRoot(folder: URL): URL {
  if (existsSync(new URL('package.json', folder))) return folder
  const parent = new URL('../', folder)
  if (parent.href === folder.href) throw new Error(`no package.json above ${import.meta.url}`)
  return findPackageRoot(parent)
}
