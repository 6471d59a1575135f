/**
 * True when `bytes[at .. end)` is UTF-8 as RFC 3629 has it: no surrogates, no overlong forms, nothing above U+10FFFF. In
 * JavaScript, because node's `isUtf8` needs a view of the bytes, and a view for each string would be garbage.
 */
export function isUtf8Text(bytes: Uint8Array, at: number, end: number): boolean {
  while (at < end) {
    const first = bytes[at++]!
    if (first < 0x80) continue
    if (first < 0xc2 || first > 0xf4) return false
    const following = first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3
    if (end - at < following) return false
    // The second byte's range rules out overlong forms, surrogates and what is above U+10FFFF.
    const second = bytes[at]!
    const least = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80
    const most = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf
    if (second < least || second > most) return false
    for (let index = 1; index < following; index++) if ((bytes[at + index]! & 0xc0) !== 0x80) return false
    at += following
  }
  return true
}
