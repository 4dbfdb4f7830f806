// Rate limits: what holds by default, and how LIMITS changes it.

import * as v from 'valibot'

export interface Limit {
  /** Requests per window. */
  capacity: number
  /** Requests beyond the capacity that a full bucket holds. */
  burst: number
  /** The window in seconds. */
  window_s: number
  /** Requests that a window brings back. */
  refill: number
}

export type LimitClass = 'storage' | 'storage_batch'
export type Limits = Record<LimitClass, Limit>

const DEFAULTS: Limits = {
  storage: { capacity: 100, burst: 20, window_s: 60, refill: 100 },
  storage_batch: { capacity: 10, burst: 2, window_s: 60, refill: 10 },
}

const count = v.optional(v.pipe(v.number(), v.integer(), v.minValue(0)))
const changes = v.optional(v.object({ capacity: count, burst: count, window_s: count, refill: count }), {})
// Classes of other functions are none of ours.
const document = v.object({ scale: v.optional(v.number(), 1), refill: count, storage: changes, storage_batch: changes })

export function parseLimits(json: string): Limits {
  const { scale, refill, ...classes } = v.parse(document, JSON.parse(json))
  const limitOf = (name: LimitClass): Limit => {
    const base = DEFAULTS[name]
    const change = classes[name]
    return {
      capacity: change.capacity ?? base.capacity * scale,
      burst: change.burst ?? base.burst * scale,
      window_s: Math.max(1, change.window_s ?? base.window_s),
      refill: change.refill ?? refill ?? change.capacity ?? base.refill * scale,
    }
  }
  return { storage: limitOf('storage'), storage_batch: limitOf('storage_batch') }
}
