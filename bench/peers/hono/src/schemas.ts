// What requests may say.

import * as v from 'valibot'
import { invalid } from './errors'

export const MAX_KEY_BYTES = 256
export const MAX_VALUE_BYTES = 1_048_576
export const MAX_BATCH_ITEMS = 100
export const MAX_BATCH_BYTES = 4 * 1_048_576
/** A value of 1 MiB takes six times as much where every byte is escaped. */
export const MAX_PUT_BYTES = 6 * 1_048_576 + 16 * 1024
const MAX_CLOCK_LEAD_MS = 5 * 60 * 1000

const encoder = new TextEncoder()

/** Length in UTF-8. */
export const byteLength = (text: string): number => encoder.encode(text).length

const isKey = (key: string): boolean =>
  key !== '' && key !== '.' && key !== '..' && key.isWellFormed() && !/\p{Cc}/u.test(key) && byteLength(key) <= MAX_KEY_BYTES
const KEY_RULE = 'the key must be 1 to 256 bytes of UTF-8 without control characters, and neither `.` nor `..`'

export const key = v.pipe(v.string(), v.check(isKey, KEY_RULE))

/** The key of a path, percent-decoded once. */
export function keyOfPath(url: string): string {
  const { pathname } = new URL(url)
  let text: string
  try {
    text = decodeURIComponent(pathname.slice(pathname.lastIndexOf('/') + 1))
  } catch {
    throw invalid('the path is not percent-encoded UTF-8')
  }
  if (!isKey(text)) throw invalid(KEY_RULE)
  return text
}

// How long it may be is 413, not 400, and is checked where it is encoded.
const value = v.pipe(v.string(), v.check((text) => text.isWellFormed(), 'the value must be Unicode text'))

const ttl = v.nullish(
  v.pipe(
    v.number(),
    v.check((s) => Number.isInteger(s) && s >= 60 && s <= 2_592_000, 'ttl must be a whole number of seconds from 60 to 2592000'),
  ),
)

const clientTimestamp = v.pipe(
  v.number(),
  v.check(
    (s) => s >= 0 && s * 1000 <= Date.now() + MAX_CLOCK_LEAD_MS,
    'client_timestamp must be seconds since 1970 and at most 5 minutes ahead of the server',
  ),
)

const contentType = v.nullish(
  v.pipe(
    v.string(),
    v.maxLength(127, 'content_type must be a media type of at most 127 characters'),
    v.regex(/^[\x20-\x2e\x30-\x7e]+\/[\x20-\x7e]+$/, 'content_type must be a media type of at most 127 characters'),
  ),
)

const metadata = v.nullish(v.object({ content_type: contentType }))

const valueFields = { value, ttl, metadata, client_timestamp: v.nullish(clientTimestamp) }

export const putBody = v.object(valueFields)
export type PutBody = v.InferOutput<typeof putBody>

const batchSize = <T>() =>
  v.check<T[], string>((items) => items.length >= 1 && items.length <= MAX_BATCH_ITEMS, `a batch has 1 to ${MAX_BATCH_ITEMS} items`)

export const keysBody = v.object({
  keys: v.pipe(
    v.array(key),
    batchSize(),
    v.check((keys) => new Set(keys).size === keys.length, 'a key appears twice in the batch'),
  ),
})

export const itemsBody = v.object({
  items: v.pipe(
    v.array(v.object({ key, ...valueFields })),
    batchSize(),
    v.check((items) => new Set(items.map((item) => item.key)).size === items.length, 'a key appears twice in the batch'),
  ),
})

const operation = v.variant('op', [
  v.object({ op: v.literal('set'), key, ...valueFields, client_timestamp: clientTimestamp }),
  v.object({ op: v.literal('delete'), key, client_timestamp: clientTimestamp }),
])

/** Changes in one answer at most. */
export const SYNC_PAGE = 200

export const syncBody = v.object({
  operations: v.optional(v.pipe(v.array(operation), v.maxLength(MAX_BATCH_ITEMS, `a sync has at most ${MAX_BATCH_ITEMS} operations`)), []),
  cursor: v.nullish(v.string()),
  limit: v.nullish(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(SYNC_PAGE))),
})

/** A `limit` of a query. */
export function limitOf(text: string | undefined, otherwise: number, max: number): number {
  if (text === undefined) return otherwise
  const limit = Number(text)
  if (!/^\d+$/.test(text) || limit < 1 || limit > max) throw invalid(`limit must be a whole number from 1 to ${max}`)
  return limit
}
