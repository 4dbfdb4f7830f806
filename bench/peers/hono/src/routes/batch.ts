// POST /api/v1/storage/batch/{get,set,delete}

import type { Context } from 'hono'
import { storeOf, type AppEnv } from '../app'
import { readJson } from '../body'
import { itemsBody, keysBody } from '../schemas'
import { Budget, type Entry } from '../store'
import { changeOf, conflictView, storedView, valueView } from '../views'

export async function batchGet(c: Context<AppEnv>) {
  const { keys } = await readJson(c, keysBody)
  const store = await storeOf(c)
  const rows = new Map((await store.findAll(keys)).map((entry) => [entry.key, entry]))
  const budget = new Budget()
  const deferred: string[] = []
  const now: Entry[] = []
  for (const key of keys) {
    const entry = rows.get(key)
    if (!entry) continue
    if (budget.takes(entry)) now.push(entry)
    else deferred.push(key)
  }
  const found = await Promise.all(now.map((entry) => store.get(entry.key, entry)))
  const items = new Map(found.flatMap((one) => (one ? [[one.entry.key, valueView(one.entry, one.value)]] : [])))
  const missing = keys.filter((key) => !items.has(key) && !deferred.includes(key))
  return c.json({ items: Object.fromEntries(items), missing, deferred: deferred.sort() })
}

export async function batchSet(c: Context<AppEnv>) {
  const { items } = await readJson(c, itemsBody)
  const changes = items.map(({ key, ...body }) => changeOf(key, body))
  const store = await storeOf(c)
  const budget = new Budget()
  const results = []
  for (const outcome of await store.write(changes, true)) {
    if (outcome.status === 'absent') throw new Error('a write without an outcome')
    results.push(outcome.status === 'applied' ? storedView(outcome.entry) : await conflictView(store, outcome.entry, budget))
  }
  return c.json({ success: true, results })
}

export async function batchDelete(c: Context<AppEnv>) {
  const { keys } = await readJson(c, keysBody)
  const outcomes = await (await storeOf(c)).write(
    keys.map((key) => ({ key, clientTs: null, value: null })),
    false,
  )
  const results = keys.map((key, n) => ({ key, success: true, deleted: outcomes[n]?.status === 'applied' }))
  return c.json({ success: true, results })
}
