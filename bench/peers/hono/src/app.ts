// The routes, and what every answer has: request id, security headers, the figures of the rate limit, a line in the log.

import { Hono, type Context } from 'hono'
import { createMiddleware } from 'hono/factory'
import { matchedRoutes } from 'hono/route'
import { allow, type Caller } from './auth'
import { jsonBody } from './body'
import { settingsOf, type Env } from './env'
import { ApiError, errorResponse, notFound } from './errors'
import { checksOf, maintain } from './maintenance'
import type { Admission } from './rate-limiter'
import { batchDelete, batchGet, batchSet } from './routes/batch'
import { sync } from './routes/sync'
import { deleteValue, getValue, listKeys, putValue, storageInfo } from './routes/values'
import { MAX_BATCH_BYTES, MAX_PUT_BYTES } from './schemas'
import { isFromPlatform } from './service-token'
import { Store } from './store'

export interface AppEnv {
  Bindings: Env
  Variables: {
    requestId: string
    caller: Caller
    admission?: Admission
    /** Why a request was refused, for the log. */
    cause?: string
  }
}

/** The store of the caller. */
export async function storeOf(c: Context<AppEnv>): Promise<Store> {
  return new Store(c.env, await settingsOf(c.env), c.executionCtx, c.get('caller'))
}

const dress = createMiddleware<AppEnv>(async (c, next) => {
  const began = Date.now()
  const given = c.req.header('X-Request-Id') ?? ''
  const requestId = /^[\w-]{8,64}$/.test(given) ? given : `req_${crypto.randomUUID().replaceAll('-', '')}`
  c.set('requestId', requestId)
  await next()

  const { headers } = c.res
  headers.set('X-Request-Id', requestId)
  headers.set('Strict-Transport-Security', 'max-age=31536000; includeSubDomains')
  headers.set('X-Content-Type-Options', 'nosniff')
  headers.set('Referrer-Policy', 'no-referrer')
  headers.set('Cache-Control', 'no-store')
  const admission = c.get('admission')
  if (admission) {
    headers.set('X-RateLimit-Limit', String(admission.limit))
    headers.set('X-RateLimit-Remaining', String(admission.remaining))
    headers.set('X-RateLimit-Reset', String(Math.floor(began / 1000) + admission.resetAfter))
    headers.set('X-RateLimit-Reset-After', String(admission.resetAfter))
    headers.set('X-RateLimit-Burst', String(admission.burst))
    headers.set('X-RateLimit-Burst-Remaining', String(admission.burstRemaining))
  }
  const caller: Caller | undefined = c.get('caller')
  console.log(
    JSON.stringify({
      at: new Date(began).toISOString(),
      level: c.res.status >= 500 ? 'error' : 'info',
      request_id: requestId,
      method: c.req.method,
      // The pattern, not the path: a key is the user's own.
      route: matchedRoutes(c).find(({ path }) => path !== '/*')?.path ?? 'none',
      status: c.res.status,
      ms: Date.now() - began,
      uid: caller?.uid,
      app: caller?.app,
      cause: c.get('cause'),
    }),
  )
})

const onlyMethods = (methods: string) => (): never => {
  throw new ApiError('METHOD_NOT_ALLOWED', 'this path takes other methods; see the Allow header', { headers: { Allow: methods } })
}

const read = allow('storage', 'storage:read')
const write = allow('storage', 'storage:write')
const readBatch = allow('storage_batch', 'storage:read', 'storage:write')
const writeBatch = allow('storage_batch', 'storage:write')
const batchBody = jsonBody(MAX_BATCH_BYTES)

export const app = new Hono<AppEnv>()

app.use(dress)

app.get('/api/v1/storage', read, listKeys)
app.get('/api/v1/storage-info', read, storageInfo)
app.post('/api/v1/storage/batch/get', readBatch, ...batchBody, batchGet)
app.post('/api/v1/storage/batch/set', writeBatch, ...batchBody, batchSet)
app.post('/api/v1/storage/batch/delete', writeBatch, ...batchBody, batchDelete)
app.post('/api/v1/storage/sync', writeBatch, ...batchBody, sync)
app.get('/api/v1/storage/:key', read, getValue)
app.put('/api/v1/storage/:key', write, ...jsonBody(MAX_PUT_BYTES), putValue)
app.delete('/api/v1/storage/:key', write, deleteValue)

app.all('/api/v1/storage', onlyMethods('GET, HEAD'))
app.all('/api/v1/storage-info', onlyMethods('GET, HEAD'))
for (const operation of ['get', 'set', 'delete']) app.all(`/api/v1/storage/batch/${operation}`, onlyMethods('POST'))
app.all('/api/v1/storage/sync', onlyMethods('GET, HEAD, POST, PUT, DELETE'))
app.all('/api/v1/storage/:key', onlyMethods('GET, HEAD, PUT, DELETE'))

// Asked by the platform's operation; without a service token there is nothing here.
const fromPlatform = createMiddleware<AppEnv>(async (c, next) => {
  const token = c.req.header('X-TMCP-Service') ?? ''
  const good = await isFromPlatform(c.env.SERVICE_KEY, token, c.req.method, new URL(c.req.url).pathname, await c.req.arrayBuffer())
  if (!good) throw notFound()
  await next()
})

app.post('/internal/maintain/storage', fromPlatform, async (c) => c.json({ ...(await maintain(c.env)), failed: 0 }))
app.post('/internal/status/storage', fromPlatform, async (c) => c.json({ checks: await checksOf(c.env), waiting: {} }))

app.notFound((c) => errorResponse(notFound(), c))
app.onError((error, c) => errorResponse(error, c))
