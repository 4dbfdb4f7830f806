/**
 * A Worker that answers requests by wasm alone, of the class that worker-build made of it. That class is made for each request, behind two
 * proxies, which start wasm anew after a trap; wasm-bindgen looks for that at every call into wasm by itself.
 */
export function workerOf(Built) {
	const { fetch } = Built.prototype;
	return { fetch: (request, env, ctx) => fetch.call({ env, ctx }, request) };
}
