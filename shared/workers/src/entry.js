/**
 * A Worker that answers requests by wasm alone, and nothing else than requests, of the class that worker-build made of it. That class is
 * made for each request, behind two proxies, which start wasm anew after a panic. A trap in a call is seen by wasm-bindgen at the next;
 * for what is not, such as a panic while something is dropped, there is the class.
 */
export function workerOf(Built) {
	const { fetch } = Built.prototype;
	const state = globalThis.__worker_init_state;
	return {
		fetch: (request, env, ctx) =>
			state?.criticalError ? new Built(ctx, env).fetch(request) : fetch.call({ env, ctx }, request),
	};
}
