// Rows as the API shows them.

import type { PutBody } from './schemas'
import { MAX_VALUE_BYTES } from './schemas'
import { ApiError } from './errors'
import { isLive, type Budget, type Change, type Entry, type Store } from './store'

const time = (ms: number): string => new Date(ms).toISOString()
export const timeOrNull = (ms: number | null): string | null => (ms === null ? null : time(ms))

const metadata = (entry: Entry) => ({
  size_bytes: entry.size,
  ...(entry.content_type !== null && { content_type: entry.content_type }),
  client_timestamp: entry.client_ts / 1000,
})

export const valueView = (entry: Entry, value: string) => ({
  key: entry.key,
  value,
  created_at: time(entry.created_at),
  updated_at: time(entry.updated_at),
  expires_at: timeOrNull(entry.expires_at),
  metadata: metadata(entry),
})

export const storedView = (entry: Entry) => ({
  key: entry.key,
  success: true,
  updated_at: time(entry.updated_at),
  expires_at: timeOrNull(entry.expires_at),
  metadata: metadata(entry),
})

/** A key that was deleted or has expired has no value; one that the answer has no room for is left out and marked. */
export async function conflictView(store: Store, entry: Entry, budget: Budget) {
  const live = isLive(entry, Date.now())
  const omitted = live && !budget.takes(entry)
  const found = live && !omitted ? await store.get(entry.key, entry) : null
  return {
    key: entry.key,
    success: true,
    conflict_detected: true,
    resolution: 'server_wins',
    server_value: found?.value ?? null,
    updated_at: time(entry.updated_at),
    ...(omitted && { server_value_omitted: true }),
  }
}

const encoder = new TextEncoder()

/** The change that a request asks for. */
export function changeOf(key: string, { value, ttl, metadata, client_timestamp }: PutBody): Change {
  const bytes = encoder.encode(value)
  if (bytes.length > MAX_VALUE_BYTES) {
    throw new ApiError('PAYLOAD_TOO_LARGE', `the value must be at most ${MAX_VALUE_BYTES} bytes of UTF-8`)
  }
  return {
    key,
    clientTs: clientTsOf(client_timestamp),
    value: { bytes, ttl: ttl ?? null, contentType: metadata?.content_type ?? null },
  }
}

/** Milliseconds of a client's timestamp in seconds. */
export const clientTsOf = (seconds: number | null | undefined): number | null =>
  seconds === null || seconds === undefined ? null : Math.round(seconds * 1000)
