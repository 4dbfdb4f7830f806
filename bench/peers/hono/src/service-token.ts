// Whether a call comes from another function of the platform: an HMAC over method, path, digest of the body and time.

const VALID_MS = 60_000
const encoder = new TextEncoder()

function withLength(part: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(8 + part.length)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(part.length))
  bytes.set(part, 8)
  return bytes
}

export async function isFromPlatform(serviceKey: string | undefined, token: string, method: string, path: string, body: ArrayBuffer) {
  const match = /^(\d+)\.([\w-]+)$/.exec(token)
  const [, at, tag] = match ?? []
  if (!serviceKey || !at || !tag || Math.abs(Date.now() - Number(at)) > VALID_MS) return false
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', body))
  const parts = [encoder.encode(method), encoder.encode(path), digest, encoder.encode(at)].map(withLength)
  const message = await new Blob(parts).arrayBuffer()
  const secret = Uint8Array.fromBase64(serviceKey)
  const key = await crypto.subtle.importKey('raw', secret, { name: 'HMAC', hash: 'SHA-256' }, false, ['verify'])
  try {
    return await crypto.subtle.verify('HMAC', key, Uint8Array.fromBase64(tag, { alphabet: 'base64url' }), message)
  } catch {
    return false
  }
}
