/** What stands in the place of a secret. */
export const secretMark = '[secret]'

/**
 * The text without the passwords in it: of URLs (`postgres://user:pass@host`), of `user:pass@host`, and of
 * `password=...` parameters. Rather masks too much: a URL's password may hold a bare `/` or `@`, so all up to the
 * last `@` counts as its part.
 */
export function maskPasswords(text: string): string {
  return text
    .replace(/(\b[a-z][a-z0-9+.-]*:\/\/[^\s/@:]*:)\S*@/gi, `$1${secretMark}@`)
    .replace(/((?:^|[\s,])[^\s/@:,]+:)(?!\/\/)[^\s@,]*@/g, `$1${secretMark}@`)
    .replace(
      /((?:^|[?&;,\s])[a-z_]*(?:password|passwd|pwd|secret|token)\s*=\s*)('[^']*'|"[^"]*"|[^&;,\s]*)/gi,
      `$1${secretMark}`,
    )
}
