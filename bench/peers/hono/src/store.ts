// Values of one user in one app: rows in D1, large values in KV. A write is one D1 batch, which is one transaction.
//
// A value's bytes never change: each write seals them under a new id, so a stale read of KV cannot show an old value.

import type { ExecutionContext } from 'hono'
import type { Caller } from './auth'
import type { Env, Settings } from './env'
import { ApiError, unavailable } from './errors'
import { open, seal } from './seal'

export interface Entry {
  key: string
  seq: number
  client_ts: number
  size: number
  value_id: string | null
  key_id: string | null
  body: string | null
  content_type: string | null
  created_at: number
  updated_at: number
  expires_at: number | null
  deleted_at: number | null
}

export interface NewValue {
  bytes: Uint8Array
  ttl: number | null
  contentType: string | null
}

/** A write of one key: a value, or `null` to delete it. */
export interface Change {
  key: string
  clientTs: number | null
  value: NewValue | null
}

export type Outcome =
  | { status: 'applied'; entry: Entry }
  /** A newer write stands: the row as it is now. */
  | { status: 'conflict'; entry: Entry }
  /** There was nothing to delete. */
  | { status: 'absent' }

interface SealedValue {
  id: string
  /** The sealed bytes in base64 where they are few; the others lie in KV. */
  body: string | null
}

const COLUMNS = 'key, seq, client_ts, size, value_id, key_id, body, content_type, created_at, updated_at, expires_at, deleted_at'
const LIVE = 'deleted_at IS NULL AND (expires_at IS NULL OR expires_at > ?3)'
const USAGE = `SELECT COALESCE(SUM(size), 0) AS bytes, COUNT(*) AS keys FROM entries INDEXED BY entries_usage
  WHERE uid = ?1 AND app = ?2 AND ${LIVE}`

/** Grace for readers that hold the row of a value which expires. */
const KV_GRACE_S = 3600

export const isLive = (entry: Entry, now: number): boolean =>
  entry.deleted_at === null && (entry.expires_at === null || entry.expires_at > now)

/** How many bytes of values one answer may still take: an isolate has 128 MiB for everybody. */
export class Budget {
  private static readonly BYTES = 4 * 1_048_576
  private left = Budget.BYTES

  /** Whether a value still fits; the first one always does. */
  takes({ size }: Entry): boolean {
    const fits = size <= this.left || this.left === Budget.BYTES
    if (fits) this.left -= size
    return fits
  }
}

export class Store {
  private readonly db: D1Database
  private readonly uid: string
  private readonly app: string

  constructor(
    private readonly env: Env,
    private readonly settings: Settings,
    private readonly ctx: ExecutionContext,
    caller: Caller,
  ) {
    this.db = env.DB
    this.uid = caller.uid
    this.app = caller.app
  }

  /** The row under a key that is there and has not expired. */
  find(key: string): Promise<Entry | null> {
    return this.statement(`SELECT ${COLUMNS} FROM entries WHERE uid = ?1 AND app = ?2 AND key = ?4 AND ${LIVE}`, Date.now(), key).first<Entry>()
  }

  /** The rows of several keys. */
  async findAll(keys: string[]): Promise<Entry[]> {
    const sql = `SELECT ${COLUMNS} FROM entries WHERE uid = ?1 AND app = ?2 AND key IN (SELECT value FROM json_each(?4)) AND ${LIVE}`
    return (await this.statement(sql, Date.now(), JSON.stringify(keys)).all<Entry>()).results
  }

  /** Row and value. A row may be overwritten between the two reads: then its value is gone, and the row is read again. */
  async get(key: string, found?: Entry): Promise<{ entry: Entry; value: string } | null> {
    let entry = found ?? (await this.find(key))
    for (let attempt = 0; attempt < 3; attempt++) {
      if (!entry) return null
      const value = await this.read(entry)
      if (value !== null) return { entry, value }
      entry = await this.find(key)
    }
    throw unavailable('a value is missing in KV')
  }

  async usage(): Promise<{ bytes: number; keys: number }> {
    const usage = await this.statement(USAGE, Date.now()).first<{ bytes: number; keys: number }>()
    return usage ?? { bytes: 0, keys: 0 }
  }

  /** Keys in byte order behind `after`, up to `end`. */
  async list(prefix: string, end: string | null, after: string | null, limit: number): Promise<Entry[]> {
    const sql = `SELECT key, size, updated_at, expires_at FROM entries WHERE uid = ?1 AND app = ?2 AND key >= ?4
      AND (?5 IS NULL OR key < ?5) AND (?6 IS NULL OR key > ?6) AND ${LIVE} ORDER BY key LIMIT ?7`
    return (await this.statement(sql, Date.now(), prefix, end, after, limit).all<Entry>()).results
  }

  /** Where the sequence stands, and what changed behind a place in it. */
  async changes(after: number, limit: number): Promise<{ seq: number; purgedSeq: number; entries: Entry[] }> {
    const [place, rows] = await this.db.batch<Record<string, unknown>>([
      this.statement('SELECT seq, purged_seq FROM namespaces WHERE uid = ?1 AND app = ?2'),
      this.statement(`SELECT ${COLUMNS} FROM entries WHERE uid = ?1 AND app = ?2 AND seq > ?3 ORDER BY seq LIMIT ?4`, after, limit),
    ])
    const { seq, purged_seq } = (place?.results[0] ?? { seq: 0, purged_seq: 0 }) as { seq: number; purged_seq: number }
    return { seq, purgedSeq: purged_seq, entries: (rows?.results ?? []) as unknown as Entry[] }
  }

  /** Applies changes in order, all or nothing. Deletions alone need no quota. */
  async write(changes: Change[], enforceQuota: boolean): Promise<Outcome[]> {
    const now = Date.now()
    const sealed = await Promise.all(changes.map((change) => this.store(change)))
    const guard = enforceQuota ? [this.quotaGuard(now)] : []
    const statements = changes.flatMap((change, n) => [
      // A large value that is about to be replaced.
      this.statement('SELECT value_id FROM entries WHERE uid = ?1 AND app = ?2 AND key = ?3 AND body IS NULL', change.key),
      this.upsert(change, sealed[n] ?? null, now, changes.length - 1 - n),
    ])
    let results: D1Result<unknown>[]
    try {
      results = await this.db.batch([this.bump(changes.length), ...statements, ...guard])
    } catch (error) {
      this.forget(sealed.map((value) => (value?.body === null ? value.id : null)))
      if (error instanceof Error && error.message.includes('storage_quota')) throw await this.overQuota()
      throw error
    }

    const forgotten: (string | null)[] = []
    const written = changes.map((change, n) => {
      const [old] = (results[1 + 2 * n]?.results ?? []) as { value_id: string | null }[]
      const [entry] = (results[2 + 2 * n]?.results ?? []) as Entry[]
      const value = sealed[n]
      forgotten.push(entry ? (old?.value_id ?? null) : value?.body === null ? value.id : null)
      return { change, entry }
    })
    this.forget(forgotten)

    const lost = written.filter(({ change, entry }) => !entry && change.clientTs !== null)
    const standing = lost.length > 0 ? await this.standing(lost.map(({ change }) => change.key)) : new Map<string, Entry>()
    return written.map(({ change, entry }): Outcome => {
      if (entry) return { status: 'applied', entry }
      const other = change.clientTs === null ? undefined : standing.get(change.key)
      return other ? { status: 'conflict', entry: other } : { status: 'absent' }
    })
  }

  /** The rows of keys, live or not. */
  private async standing(keys: string[]): Promise<Map<string, Entry>> {
    const sql = `SELECT ${COLUMNS} FROM entries WHERE uid = ?1 AND app = ?2 AND key IN (SELECT value FROM json_each(?3))`
    const { results } = await this.statement(sql, JSON.stringify(keys)).all<Entry>()
    return new Map(results.map((entry) => [entry.key, entry]))
  }

  private statement(sql: string, ...parameters: unknown[]): D1PreparedStatement {
    return this.db.prepare(sql).bind(this.uid, this.app, ...parameters)
  }

  private bump(count: number): D1PreparedStatement {
    const sql = `INSERT INTO namespaces (uid, app, seq) VALUES (?1, ?2, ?3) ON CONFLICT (uid, app) DO UPDATE SET seq = seq + ?3`
    return this.statement(sql, count)
  }

  private quotaGuard(now: number): D1PreparedStatement {
    const sql = `INSERT INTO quota_guard (within) SELECT 0 FROM (${USAGE}) WHERE bytes > ?4 OR keys > ?5`
    return this.statement(sql, now, this.settings.quotaBytes, this.settings.quotaKeys)
  }

  /** The last write wins by the client's clock, at equal times the later arrival; a write without a time always wins. */
  private upsert(change: Change, sealed: SealedValue | null, now: number, behind: number): D1PreparedStatement {
    const { key, clientTs, value } = change
    if (!value && clientTs === null) {
      const sql = `UPDATE entries SET seq = (SELECT seq FROM namespaces WHERE uid = ?1 AND app = ?2) - ?5, client_ts = MAX(?3, client_ts + 1),
        size = 0, value_id = NULL, key_id = NULL, body = NULL, content_type = NULL, updated_at = ?3, expires_at = NULL, deleted_at = ?3
        WHERE uid = ?1 AND app = ?2 AND key = ?4 AND ${LIVE} RETURNING ${COLUMNS}`
      return this.statement(sql, now, key, behind)
    }
    const sql = `INSERT INTO entries (uid, app, key, seq, client_ts, size, value_id, key_id, body, content_type, created_at, updated_at,
        expires_at, deleted_at)
      VALUES (?1, ?2, ?4, (SELECT seq FROM namespaces WHERE uid = ?1 AND app = ?2) - ?5, COALESCE(?6, ?3), ?7, ?8, ?9, ?10, ?11, ?3, ?3,
        ?12, ?13)
      ON CONFLICT (uid, app, key) DO UPDATE SET seq = excluded.seq, client_ts = COALESCE(?6, MAX(?3, entries.client_ts + 1)),
        size = excluded.size, value_id = excluded.value_id, key_id = excluded.key_id, body = excluded.body,
        content_type = excluded.content_type, updated_at = excluded.updated_at, expires_at = excluded.expires_at,
        deleted_at = excluded.deleted_at,
        created_at = CASE WHEN entries.deleted_at IS NULL AND (entries.expires_at IS NULL OR entries.expires_at > ?3)
          THEN entries.created_at ELSE excluded.created_at END
      WHERE ?6 IS NULL OR ?6 >= entries.client_ts
      RETURNING ${COLUMNS}`
    return this.statement(
      sql,
      now,
      key,
      behind,
      clientTs,
      value?.bytes.length ?? 0,
      sealed?.id ?? null,
      value ? this.settings.currentKey : null,
      sealed?.body ?? null,
      value?.contentType ?? null,
      value?.ttl ? now + value.ttl * 1000 : null,
      value ? null : now,
    )
  }

  /** Seals a value, and puts it into KV where it is large. */
  private async store({ key, value }: Change): Promise<SealedValue | null> {
    if (!value) return null
    const id = crypto.randomUUID()
    const place = { uid: this.uid, app: this.app, key, valueId: id, keyId: this.settings.currentKey }
    const bytes = await seal(this.settings, place, value.bytes)
    if (value.bytes.length <= this.settings.inlineBytes) return { id, body: bytes.toBase64() }
    await this.env.KV.put(id, bytes, value.ttl ? { expirationTtl: value.ttl + KV_GRACE_S } : {})
    return { id, body: null }
  }

  /** The value of a row; `null` where its bytes are not to be had. */
  private async read({ key, value_id, key_id, body }: Entry): Promise<string | null> {
    if (value_id === null || key_id === null) throw new Error('a tombstone was read')
    const bytes = body === null ? await this.env.KV.get(value_id, 'arrayBuffer') : Uint8Array.fromBase64(body)
    if (bytes === null) return null
    const place = { uid: this.uid, app: this.app, key, valueId: value_id, keyId: key_id }
    return open(this.settings, place, new Uint8Array(bytes))
  }

  /** Deletes values that no row points at, after the answer. */
  private forget(ids: (string | null)[]): void {
    for (const id of ids) if (id) this.ctx.waitUntil(this.env.KV.delete(id))
  }

  private async overQuota(): Promise<ApiError> {
    const { bytes, keys } = await this.usage()
    return new ApiError('STORAGE_QUOTA_EXCEEDED', 'the write would exceed the storage quota of this user and app', {
      details: {
        current_usage_bytes: bytes,
        quota_bytes: this.settings.quotaBytes,
        current_keys: keys,
        quota_keys: this.settings.quotaKeys,
      },
    })
  }
}
