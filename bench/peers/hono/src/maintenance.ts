// Periodic work: expired keys become tombstones, so that offline clients learn of them; tombstones go after thirty days. Expired values
// leave KV by themselves.

import { settingsOf, type Env } from './env'

const TOMBSTONE_MS = 30 * 24 * 60 * 60 * 1000
/** Namespaces in one portion. */
const PORTION = 100

interface Namespace {
  uid: string
  app: string
}

const EXPIRED = 'uid = ?1 AND app = ?2 AND deleted_at IS NULL AND expires_at <= ?3'

export async function maintain(env: Env): Promise<{ expired_namespaces: number; purged_namespaces: number }> {
  return { expired_namespaces: await expire(env.DB, Date.now()), purged_namespaces: await purge(env.DB, Date.now() - TOMBSTONE_MS) }
}

async function expire(db: D1Database, now: number): Promise<number> {
  const sql = `SELECT DISTINCT uid, app FROM (SELECT uid, app FROM entries INDEXED BY entries_expiry
    WHERE expires_at IS NOT NULL AND deleted_at IS NULL AND expires_at <= ?1 LIMIT ?2)`
  const { results } = await db.prepare(sql).bind(now, PORTION).all<Namespace>()
  for (const { uid, app } of results) {
    await db.batch([
      db
        .prepare(
          `UPDATE entries SET seq = r.seq, size = 0, value_id = NULL, key_id = NULL, body = NULL, content_type = NULL,
            updated_at = ?3, expires_at = NULL, deleted_at = ?3
          FROM (SELECT e.key AS key, n.seq + ROW_NUMBER() OVER (ORDER BY e.key) AS seq FROM entries e
            JOIN namespaces n ON n.uid = ?1 AND n.app = ?2
            WHERE e.uid = ?1 AND e.app = ?2 AND e.deleted_at IS NULL AND e.expires_at <= ?3) AS r
          WHERE ${EXPIRED} AND entries.key = r.key`,
        )
        .bind(uid, app, now),
      db
        .prepare(
          `UPDATE namespaces SET seq = MAX(seq, COALESCE((SELECT MAX(e.seq) FROM entries e WHERE e.uid = ?1 AND e.app = ?2), 0))
          WHERE uid = ?1 AND app = ?2`,
        )
        .bind(uid, app),
    ])
  }
  return results.length
}

async function purge(db: D1Database, before: number): Promise<number> {
  const sql = `SELECT DISTINCT uid, app FROM (SELECT uid, app FROM entries INDEXED BY entries_tombstones
    WHERE deleted_at IS NOT NULL AND deleted_at <= ?1 LIMIT ?2)`
  const { results } = await db.prepare(sql).bind(before, PORTION).all<Namespace>()
  for (const { uid, app } of results) {
    await db.batch([
      db
        .prepare(
          `UPDATE namespaces SET purged_seq = MAX(purged_seq, COALESCE((SELECT MAX(e.seq) FROM entries e
            WHERE e.uid = ?1 AND e.app = ?2 AND e.deleted_at <= ?3), 0)) WHERE uid = ?1 AND app = ?2`,
        )
        .bind(uid, app, before),
      db.prepare('DELETE FROM entries WHERE uid = ?1 AND app = ?2 AND deleted_at <= ?3').bind(uid, app, before),
    ])
  }
  return results.length
}

interface Check {
  name: string
  problem: string | null
}

/** Whether everything answers that requests need. */
export async function checksOf(env: Env): Promise<Check[]> {
  const check = async (name: string, ask: () => Promise<unknown>): Promise<Check> => {
    try {
      await ask()
      return { name, problem: null }
    } catch (error) {
      return { name, problem: error instanceof Error ? error.message : String(error) }
    }
  }
  return Promise.all([
    check('configuration', () => settingsOf(env)),
    check('database', () => env.DB.prepare('SELECT seq FROM namespaces LIMIT 1').first()),
    check('values', () => env.KV.get('a value that never was')),
  ])
}
