// Refusals in the envelope of the protocol, and the one place where an exception becomes an answer.

import type { Context } from 'hono'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import type { AppEnv } from './app'
import { InvalidSetting } from './env'
import type { Admission } from './rate-limiter'

const STATUS = {
  INVALID_REQUEST: 400,
  INVALID_TOKEN: 401,
  INSUFFICIENT_PERMISSIONS: 403,
  KEY_NOT_FOUND: 404,
  NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  PAYLOAD_TOO_LARGE: 413,
  STORAGE_QUOTA_EXCEEDED: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  RATE_LIMIT_EXCEEDED: 429,
  INTERNAL_ERROR: 500,
  SERVICE_UNAVAILABLE: 503,
} as const satisfies Record<string, ContentfulStatusCode>

export type ErrorCode = keyof typeof STATUS

interface Extra {
  details?: Record<string, unknown>
  retryAfter?: number
  headers?: Record<string, string>
  /** For the log only. */
  reason?: string
}

export class ApiError extends Error {
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly extra: Extra = {},
  ) {
    super(message)
  }
}

export const invalid = (message: string, details?: Record<string, unknown>) =>
  new ApiError('INVALID_REQUEST', message, details ? { details } : {})

export const keyNotFound = () => new ApiError('KEY_NOT_FOUND', 'nothing is stored under this key')

export const notFound = () => new ApiError('NOT_FOUND', 'there is nothing at this path')

export const unavailable = (reason: string) =>
  new ApiError('SERVICE_UNAVAILABLE', 'a part of the service does not answer at the moment', { retryAfter: 1, reason })

/** Which check failed is told to the log alone. */
export const badToken = (reason: string) =>
  new ApiError('INVALID_TOKEN', 'the access token is missing, expired or not valid', {
    headers: { 'WWW-Authenticate': 'Bearer error="invalid_token"' },
    reason,
  })

export const tooManyRequests = ({ limit, burst, retryAfter }: Admission) =>
  new ApiError('RATE_LIMIT_EXCEEDED', 'too many requests; try again later', {
    details: { limit, burst, retry_after: retryAfter },
    retryAfter,
  })

function apiErrorOf(error: unknown): ApiError {
  if (error instanceof ApiError) return error
  if (error instanceof InvalidSetting) {
    return new ApiError('SERVICE_UNAVAILABLE', 'the server is not configured completely', { retryAfter: 60, reason: error.message })
  }
  const reason = error instanceof Error ? error.message : String(error)
  // D1, KV and Durable Objects fail like this when they are overloaded or move.
  if (/^(D1_|KV )|Durable Object/.test(reason)) return unavailable(reason)
  return new ApiError('INTERNAL_ERROR', 'an internal error occurred', { reason })
}

export function errorResponse(error: unknown, c: Context<AppEnv>): Response {
  const { code, message, extra } = apiErrorOf(error)
  c.set('cause', extra.reason ? `${code}: ${extra.reason}` : code)
  if (extra.retryAfter !== undefined) c.header('Retry-After', String(extra.retryAfter))
  for (const [name, value] of Object.entries(extra.headers ?? {})) c.header(name, value)
  const body = {
    error: {
      code,
      message,
      ...(extra.details && { details: extra.details }),
      ...(extra.retryAfter !== undefined && { retry_after: extra.retryAfter }),
      timestamp: new Date().toISOString(),
      request_id: c.get('requestId'),
    },
  }
  return c.json(body, STATUS[code])
}
