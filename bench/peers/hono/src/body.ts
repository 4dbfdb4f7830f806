// JSON bodies: of the right type, within a limit, of the right shape; mistakes are named by their place.

import type { Context, MiddlewareHandler } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { visit } from 'jsonc-parser'
import * as v from 'valibot'
import type { AppEnv } from './app'
import { ApiError, invalid } from './errors'

/** The media type and the size, before anything is read. */
export function jsonBody(maxBytes: number): [MiddlewareHandler<AppEnv>, MiddlewareHandler<AppEnv>] {
  return [
    async (c, next) => {
      const type = c.req.header('Content-Type')?.split(';')[0]?.trim().toLowerCase()
      if (type !== 'application/json') throw new ApiError('UNSUPPORTED_MEDIA_TYPE', 'the body must be application/json')
      await next()
    },
    bodyLimit({
      maxSize: maxBytes,
      onError: async (c) => {
        // Or the answer waits for a body that may never come.
        await c.req.raw.body?.cancel()
        throw new ApiError('PAYLOAD_TOO_LARGE', `the body may have at most ${maxBytes} bytes`, { details: { max_bytes: maxBytes } })
      },
    }),
  ]
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The body as JSON of a shape. */
export async function readJson<S extends v.GenericSchema>(c: Context<AppEnv>, schema: S): Promise<v.InferOutput<S>> {
  const bytes = await c.req.arrayBuffer()
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    throw invalid('the body is not UTF-8')
  }
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    throw invalid(`the body is not JSON${placeOfMistake(text)}`)
  }
  // To valibot an array is an object that has none of the members.
  if (Array.isArray(json)) throw invalid('the body is not as expected: Expected Object but received Array')
  const result = v.safeParse(schema, json, { abortEarly: true })
  if (result.success) return result.output
  const issue = result.issues[0]
  const field = pathOf(issue)
  throw invalid(field ? `the body is not as expected at \`${field}\`: ${issue.message}` : `the body is not as expected: ${issue.message}`, {
    field,
  })
}

function pathOf(issue: v.BaseIssue<unknown>): string | null {
  const path = (issue.path ?? []).map(({ key }) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`)).join('')
  return path.replace(/^\./, '') || null
}

/** JSON.parse does not always say where it stopped, so a tolerant parser looks again. */
function placeOfMistake(text: string): string {
  let place = ''
  try {
    visit(text, {
      onError: (_code, _offset, _length, line, character) => {
        place ||= `: line ${line + 1} column ${character + 1}`
      },
    })
  } catch {
    // Nested too deeply to be looked at again.
  }
  return place
}
