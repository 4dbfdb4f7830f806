// Token buckets in a Durable Object, one per user and app: two requests at once cannot both take the last token.

import { DurableObject } from 'cloudflare:workers'
import type { Env } from './env'
import type { Limit } from './limits'

/** One request costs `windowMs` units and each millisecond brings `refill` of them: whole numbers only, so nothing is lost to rounding. */
interface Bucket {
  level: number
  at: number
  windowMs: number
}

export interface Admission {
  allowed: boolean
  limit: number
  remaining: number
  burst: number
  burstRemaining: number
  /** Seconds until the bucket is full. */
  resetAfter: number
  /** Seconds until one request would pass. */
  retryAfter: number
}

/** Buckets that nobody drew from for so long are full. */
const IDLE_MS = 25 * 60 * 60 * 1000
/** The wait that is told where nothing is ever refilled. */
const NEVER_S = 86_400

export class RateLimiter extends DurableObject<Env> {
  private readonly buckets = new Map<string, Bucket>()

  /** Draws one request from the bucket of a class. */
  draw(name: string, limit: Limit): Admission {
    const now = Date.now()
    const windowMs = limit.window_s * 1000
    const full = (limit.capacity + limit.burst) * windowMs
    let bucket = this.buckets.get(name) ?? this.ctx.storage.kv.get<Bucket>(name)
    if (!bucket) void this.ctx.storage.setAlarm(now + IDLE_MS)
    if (!bucket || bucket.windowMs !== windowMs) bucket = { level: full, at: now, windowMs }
    const elapsed = Math.max(0, now - bucket.at)
    let level = Math.min(full, bucket.level + elapsed * limit.refill)
    const allowed = level >= windowMs
    if (allowed) {
      level -= windowMs
      const next = { level, at: Math.max(now, bucket.at), windowMs }
      this.buckets.set(name, next)
      this.ctx.storage.kv.put(name, next)
    }
    const remaining = Math.floor(level / windowMs)
    return {
      allowed,
      limit: limit.capacity,
      remaining,
      burst: limit.burst,
      burstRemaining: Math.min(remaining, limit.burst),
      resetAfter: wait(full - level, limit.refill),
      retryAfter: allowed ? 0 : wait(windowMs - level, limit.refill),
    }
  }

  override async alarm(): Promise<void> {
    const used = [...this.ctx.storage.kv.list<Bucket>()].map(([, bucket]) => bucket.at)
    const idleAt = Math.max(0, ...used) + IDLE_MS
    if (idleAt > Date.now()) {
      await this.ctx.storage.setAlarm(idleAt)
    } else {
      this.buckets.clear()
      await this.ctx.storage.deleteAll()
    }
  }
}

function wait(units: number, refill: number): number {
  if (units <= 0) return 0
  return refill === 0 ? NEVER_S : Math.ceil(Math.ceil(units / refill) / 1000)
}
