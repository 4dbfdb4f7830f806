import { DurableObject } from "cloudflare:workers";

/**
 * The Durable Object class of an entity, whose inside is wasm's. Its methods are called by RPC, which makes no request and no response
 * but asks for a class that extends the platform's own: a class of wasm-bindgen cannot.
 */
export function objectOf(Inside) {
	return class extends DurableObject {
		#inside;

		constructor(state, env) {
			super(state, env);
			this.#inside = new Inside(state, env);
		}

		/** One command, as JSON: the entity's reply, as JSON. */
		ask(question) {
			return this.#inside.ask(question);
		}

		alarm() {
			return this.#inside.alarm();
		}
	};
}
