import type { Problem } from '../errors.ts'
import { maskPasswords } from './mask-passwords.ts'

/** Where a value is in the configuration: `['routes', 0, 'sink']`. */
export type Place = readonly (string | number)[]

/** `routes[0].sink` */
export function placeText(place: Place): string {
  return place.map((part, at) => (typeof part === 'number' ? `[${part}]` : at === 0 ? part : `.${part}`)).join('')
}

/** What is wrong with a value. */
export interface Fault {
  /** The requirement: `must be true or false`. */
  readonly message: string
  /** Shown as `, not X` unless the place is secret; left out when showing it tells nothing. */
  readonly value?: unknown
  /** Instead of the message where values may be shown: it may quote the value. */
  readonly quoting?: string
  /** Follows the value: `; did you mean ...?` */
  readonly hint?: string
}

/**
 * Everything wrong that was found so far, one problem a place: the first tells the cause, and later ones only follow
 * from it. Values from `${...}` and of secret keys never get into a text.
 */
export class Problems {
  readonly #found = new Map<string, Problem & { readonly line: number }>()
  readonly #secret = new Set<string>()
  readonly #variables = new Map<string, string>()
  readonly #lineOf: (place: Place) => number | undefined

  constructor(lineOf: (place: Place) => number | undefined) {
    this.#lineOf = lineOf
  }

  /** From now on the value at this place, and whatever is in it, is never shown. */
  hide(place: Place): void {
    this.#secret.add(placeText(place))
  }

  /** The value at this place comes from an environment variable, so that is where its problems are. */
  setBy(place: Place, variable: string): void {
    this.#variables.set(placeText(place), variable)
  }

  /** Whether an environment variable sets the key, so that what the file says of it does not matter. */
  isSet(place: Place): boolean {
    return this.#variables.has(placeText(place))
  }

  /** Whether anything is wrong with what is at this place, or with a section around it. */
  has(place: Place): boolean {
    return around(place).some((each) => this.#found.has(each))
  }

  /** `value` as a problem's text may show it. */
  shown(place: Place, value: unknown): string {
    return this.#hidden(place) ? '`[hidden]`' : `\`${scalarText(value)}\``
  }

  add(place: Place, fault: Fault | string): void {
    const { message, value, hint = '', quoting } = typeof fault === 'string' ? { message: fault } : fault
    const hidden = this.#hidden(place)
    const shown = isScalar(value) && !hidden ? `, not \`${scalarText(value)}\`` : ''
    this.#put(place, place, (hidden || quoting === undefined ? message : maskPasswords(quoting)) + shown + hint)
  }

  /** A problem with the key itself: told at the section that holds it, and on the key's line. */
  addKey(section: Place, key: string, message: string): void {
    this.#put([...section, key], section, message)
  }

  /** A problem that is nowhere in the configuration. */
  addElsewhere(path: string, message: string): void {
    if (!this.#found.has(path)) this.#found.set(path, { path, message, line: Infinity })
  }

  /** In the order of the file. */
  list(): Problem[] {
    return [...this.#found.values()]
      .sort((one, other) => (one.line === other.line ? 0 : one.line - other.line))
      .map(({ path, message }) => ({ path, message }))
  }

  #hidden(place: Place): boolean {
    return around(place).some((each) => this.#secret.has(each))
  }

  #put(place: Place, told: Place, message: string): void {
    const key = placeText(place)
    if (this.#found.has(key)) return
    const variable = this.#variables.get(key)
    const line = variable === undefined ? this.#lineOf(place) : undefined
    const where = variable ?? (line === undefined ? '' : `line ${line}`)
    const path = placeText(told)
    this.#found.set(key, {
      path: where && path ? `${path} (${where})` : path || where,
      message,
      line: line ?? Infinity,
    })
  }
}

/** A place and those around it: `routes`, `routes[0]`, `routes[0].sink`. */
const around = (place: Place): string[] => place.map((_, at) => placeText(place.slice(0, at + 1)))

const shownLengthMax = 60

const isScalar = (value: unknown): boolean => ['string', 'number', 'boolean'].includes(typeof value)

function scalarText(value: unknown): string {
  const text = maskPasswords(String(value))
  return text.length > shownLengthMax ? `${text.slice(0, shownLengthMax)}...` : text
}
