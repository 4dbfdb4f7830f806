// The Worker: HTTP, the cron trigger, and the Durable Object class.

import { app } from './app'
import type { Env } from './env'
import { maintain } from './maintenance'

export { RateLimiter } from './rate-limiter'

export default {
  fetch: app.fetch,
  scheduled: (_controller, env, ctx) => ctx.waitUntil(maintain(env)),
} satisfies ExportedHandler<Env>
