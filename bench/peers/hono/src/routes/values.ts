// GET, PUT, DELETE /api/v1/storage/:key, GET /api/v1/storage, GET /api/v1/storage-info

import type { Context } from 'hono'
import { storeOf, type AppEnv } from '../app'
import { settingsOf } from '../env'
import { readJson } from '../body'
import { invalid, keyNotFound } from '../errors'
import { byteLength, keyOfPath, limitOf, MAX_KEY_BYTES, MAX_VALUE_BYTES, putBody } from '../schemas'
import { Budget } from '../store'
import { changeOf, conflictView, storedView, timeOrNull, valueView } from '../views'

export async function getValue(c: Context<AppEnv>) {
  const key = keyOfPath(c.req.url)
  const found = await (await storeOf(c)).get(key)
  if (!found) throw keyNotFound()
  return c.json(valueView(found.entry, found.value))
}

export async function putValue(c: Context<AppEnv>) {
  const key = keyOfPath(c.req.url)
  const change = changeOf(key, await readJson(c, putBody))
  const store = await storeOf(c)
  const [outcome] = await store.write([change], true)
  switch (outcome?.status) {
    case 'applied':
      return c.json(storedView(outcome.entry))
    case 'conflict':
      return c.json(await conflictView(store, outcome.entry, new Budget()))
    default:
      throw new Error('a write without an outcome')
  }
}

export async function deleteValue(c: Context<AppEnv>) {
  const key = keyOfPath(c.req.url)
  const [outcome] = await (await storeOf(c)).write([{ key, clientTs: null, value: null }], false)
  if (outcome?.status !== 'applied') throw keyNotFound()
  return c.json({ key, success: true })
}

export async function listKeys(c: Context<AppEnv>) {
  const limit = limitOf(c.req.query('limit'), 100, 1000)
  const prefix = c.req.query('prefix') ?? ''
  if (byteLength(prefix) > MAX_KEY_BYTES) throw invalid('prefix is longer than a key can be')
  const cursor = c.req.query('cursor')
  const after = cursor === undefined ? null : decodeCursor(cursor)
  const rows = await (await storeOf(c)).list(prefix, successor(prefix), after, limit + 1)
  const page = rows.slice(0, limit)
  const hasMore = rows.length > limit
  const last = page.at(-1)
  return c.json({
    keys: page.map(({ key, size, updated_at, expires_at }) => ({
      key,
      size_bytes: size,
      updated_at: timeOrNull(updated_at),
      expires_at: timeOrNull(expires_at),
    })),
    pagination: { limit, has_more: hasMore, next_cursor: hasMore && last ? encodeCursor(last.key) : null },
  })
}

export async function storageInfo(c: Context<AppEnv>) {
  const { quotaBytes, quotaKeys } = await settingsOf(c.env)
  return c.json({
    usage: await (await storeOf(c)).usage(),
    quota: { bytes: quotaBytes, keys: quotaKeys, max_key_bytes: MAX_KEY_BYTES, max_value_bytes: MAX_VALUE_BYTES },
  })
}

/** The first text behind every text with a prefix, in the order of code points; `null` where there is none. */
function successor(prefix: string): string | null {
  const points = Array.from(prefix, (char) => char.codePointAt(0) ?? 0)
  for (let last = points.pop(); last !== undefined; last = points.pop()) {
    if (last === 0x10ffff) continue
    // Surrogates are no characters.
    return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1)
  }
  return null
}

const encodeCursor = (key: string): string =>
  new TextEncoder().encode(key).toBase64({ alphabet: 'base64url', omitPadding: true })

function decodeCursor(cursor: string): string {
  try {
    const bytes = Uint8Array.fromBase64(cursor, { alphabet: 'base64url' })
    const key = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    if (bytes.length <= MAX_KEY_BYTES) return key
  } catch {
    // Falls through.
  }
  throw invalid('cursor is not one of a page before')
}
