// POST /api/v1/storage/sync: a queue of offline writes, and what changed behind a cursor.

import type { Context } from 'hono'
import { storeOf, type AppEnv } from '../app'
import { readJson } from '../body'
import { ApiError, invalid, type ErrorCode } from '../errors'
import { SYNC_PAGE, syncBody } from '../schemas'
import { Budget, isLive, type Change, type Outcome, type Store } from '../store'
import { changeOf, clientTsOf, conflictView, storedView, timeOrNull, valueView } from '../views'

/** A place in the sequence of changes; `began` is where the sequence stood when this walk through it began. */
interface Cursor {
  seq: number
  began: number
}

const START: Cursor = { seq: 0, began: 0 }

const encodeCursor = ({ seq, began }: Cursor): string => btoa(`${seq}.${began}`).replace(/=+$/, '')

function decodeCursor(text: string): Cursor {
  const match = /^[\w+/]+$/.test(text) && text.length % 4 !== 1 ? /^(\d{1,15})\.(\d{1,15})$/.exec(atob(text)) : null
  if (!match) throw invalid('cursor is not one of an earlier sync')
  return { seq: Number(match[1]), began: Number(match[2]) }
}

type Result = Outcome | { status: 'failed'; code: ErrorCode }

const isOverQuota = (error: unknown): error is ApiError => error instanceof ApiError && error.code === 'STORAGE_QUOTA_EXCEEDED'

export async function sync(c: Context<AppEnv>) {
  const request = await readJson(c, syncBody)
  const cursor = request.cursor ? decodeCursor(request.cursor) : null
  const changes = request.operations.map((operation): Change =>
    operation.op === 'set'
      ? changeOf(operation.key, operation)
      : { key: operation.key, clientTs: clientTsOf(operation.client_timestamp), value: null },
  )
  const store = await storeOf(c)
  const budget = new Budget()
  const results = []
  for (const [n, outcome] of (await applyQueue(store, changes)).entries()) {
    results.push(await resultView(store, changes[n] as Change, outcome, budget))
  }
  return c.json({ results, ...(await changesSince(store, cursor, request.limit ?? SYNC_PAGE)) })
}

/** One batch for all; where that is over the quota one by one, so that only what is too much fails. */
async function applyQueue(store: Store, changes: Change[]): Promise<Result[]> {
  if (changes.length === 0) return []
  try {
    return await store.write(changes, true)
  } catch (error) {
    if (!isOverQuota(error)) throw error
  }
  const results: Result[] = []
  for (const change of changes) {
    try {
      results.push(...(await store.write([change], change.value !== null)))
    } catch (error) {
      if (!isOverQuota(error)) throw error
      results.push({ status: 'failed', code: error.code })
    }
  }
  return results
}

async function resultView(store: Store, { key, value }: Change, outcome: Result, budget: Budget) {
  switch (outcome.status) {
    case 'applied':
      return value ? storedView(outcome.entry) : { key, success: true, deleted: true }
    case 'absent':
      return { key, success: true, deleted: false }
    case 'conflict':
      return conflictView(store, outcome.entry, budget)
    case 'failed':
      return { key, success: false, error: { code: outcome.code } }
  }
}

async function changesSince(store: Store, cursor: Cursor | null, limit: number) {
  let from = cursor ?? START
  let reset = cursor === null
  let place = await store.changes(from.seq, limit + 1)
  // Older than what is remembered of deletions, or from somewhere else: the client starts again.
  if (!reset && (Math.max(from.seq, from.began) < place.purgedSeq || from.seq > place.seq)) {
    reset = true
    from = START
    place = await store.changes(from.seq, limit + 1)
  }
  const { seq, entries } = place
  const budget = new Budget()
  const beyond = entries.findIndex((entry, n) => n >= limit || !budget.takes(entry))
  const page = beyond === -1 ? entries : entries.slice(0, beyond)
  const last = page.at(-1)
  const next = beyond !== -1 && last ? { seq: last.seq, began: reset ? seq : from.began } : { seq, began: seq }

  const now = Date.now()
  const found = await Promise.all(page.map((entry) => (isLive(entry, now) ? store.get(entry.key, entry) : null)))
  const changes = []
  for (const [n, entry] of page.entries()) {
    const live = found[n]
    if (live) changes.push(valueView(live.entry, live.value))
    // A client that starts again has nothing that it would have to delete.
    else if (!reset) changes.push({ key: entry.key, deleted: true, updated_at: timeOrNull(entry.updated_at) })
  }
  return { changes, cursor: encodeCursor(next), has_more: beyond !== -1, reset }
}
