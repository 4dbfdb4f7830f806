// Counts what a Worker asks of the platform while it answers: statements and rows of D1, operations on KV, calls of Durable
// Objects and of other Workers, rows of a Durable Object's own SQLite. The figures are the runtime's: the functions through which
// every such call goes are replaced by ones that count and pass on.
//
// `GET /__bench/counts` gives the sums since the last such request, and begins anew.

const zero = () => ({
	requests: 0,
	d1_calls: 0,
	d1_statements: 0,
	d1_rows_read: 0,
	d1_rows_written: 0,
	kv_reads: 0,
	kv_writes: 0,
	kv_deletes: 0,
	kv_lists: 0,
	object_calls: 0,
	object_requests: 0,
	object_statements: 0,
	object_rows_read: 0,
	object_rows_written: 0,
	service_calls: 0,
	outgoing_calls: 0,
});
let counts = zero();
const watched = new WeakSet();

/** Replaces a method of the prototype that has it, once. */
function watch(object, name, replacement) {
	for (let proto = object; proto; proto = Object.getPrototypeOf(proto)) {
		if (!Object.hasOwn(proto, name)) continue;
		const original = proto[name];
		if (watched.has(original) || typeof original !== "function") return;
		const replaced = replacement(original);
		watched.add(replaced);
		Object.defineProperty(proto, name, { value: replaced, writable: true, configurable: true });
		return;
	}
	throw new Error(`nothing to count: no method ${name}`);
}

/** Counts the results of D1 in one answer of its interface: one result, or a list of them. */
function countRows(body) {
	for (const result of Array.isArray(body) ? body : [body]) {
		counts.d1_statements += 1;
		counts.d1_rows_read += result?.meta?.rows_read ?? 0;
		counts.d1_rows_written += result?.meta?.rows_written ?? 0;
	}
}

// By name: a Fetcher seems to have every method there is, since it would call it in the other Worker.
const kindOf = (value) => value.constructor?.name;

function watchD1(database) {
	// All statements, single ones and batches, leave through the session's `_send` and come back with their meta.
	watch(database.withSession("first-primary"), "_send", (send) => async function (...args) {
		counts.d1_calls += 1;
		const answer = await send.apply(this, args);
		countRows(answer);
		return answer;
	});
}

function watchKv(namespace) {
	const counting = (name, field) =>
		watch(namespace, name, (original) => function (...args) {
			counts[field] += name === "get" && Array.isArray(args[0]) ? args[0].length : 1;
			return original.apply(this, args);
		});
	counting("get", "kv_reads");
	counting("getWithMetadata", "kv_reads");
	counting("put", "kv_writes");
	counting("delete", "kv_deletes");
	counting("list", "kv_lists");
}

function watchObjects(namespace) {
	for (const name of ["get", "getByName"]) {
		if (typeof namespace[name] !== "function") continue;
		watch(namespace, name, (original) => function (...args) {
			const stub = original.apply(this, args);
			// On the stub itself: its prototype is that of every fetcher.
			const ask = stub.fetch;
			Object.defineProperty(stub, "fetch", {
				value: (...request) => {
					counts.object_calls += 1;
					return ask.apply(stub, request);
				},
			});
			return stub;
		});
	}
}

function watchService(fetcher) {
	const ask = fetcher.fetch;
	Object.defineProperty(fetcher, "fetch", {
		value: (...request) => {
			counts.service_calls += 1;
			return ask.apply(fetcher, request);
		},
	});
}

const seen = new WeakSet();
function watchAll(env) {
	for (const value of Object.values(env)) {
		if (typeof value !== "object" || value === null || seen.has(value)) continue;
		seen.add(value);
		const kind = kindOf(value);
		if (kind === "D1Database") watchD1(value);
		else if (kind === "KvNamespace") watchKv(value);
		else if (kind === "DurableObjectNamespace") watchObjects(value);
		else if (kind === "Fetcher") watchService(value);
	}
}

const outgoing = globalThis.fetch;
globalThis.fetch = (...args) => {
	counts.outgoing_calls += 1;
	return outgoing(...args);
};

function answerOrCount(request, answer) {
	if (new URL(request.url).pathname === "/__bench/counts") {
		const told = counts;
		counts = zero();
		return Response.json(told);
	}
	counts.requests += 1;
	return answer();
}

/** A Worker's default export, a class or an object, that counts. */
export function counted(inner) {
	if (typeof inner === "function") {
		return class extends inner {
			constructor(context, env) {
				watchAll(env);
				super(context, env);
			}
			fetch(request) {
				return answerOrCount(request, () => super.fetch(request));
			}
		};
	}
	return {
		...inner,
		fetch(request, env, context) {
			watchAll(env);
			return answerOrCount(request, () => inner.fetch(request, env, context));
		},
	};
}

/** A Durable Object's class that counts its requests, by fetch or by a method of its own, and the rows of its SQLite. */
export function countedObject(inner) {
	const open = [];
	const countingRows = async (answer) => {
		counts.object_requests += 1;
		try {
			return await answer();
		} finally {
			// Rows are read while a cursor is walked.
			for (const cursor of open.splice(0)) counts.object_rows_read += cursor.rowsRead;
		}
	};
	const outer = class extends inner {
		constructor(state, env) {
			watchAll(env);
			watch(state.storage.sql, "exec", (exec) => function (...args) {
				const cursor = exec.apply(this, args);
				counts.object_statements += 1;
				counts.object_rows_written += cursor.rowsWritten;
				open.push(cursor);
				return cursor;
			});
			// A key of the object's key-value interface is a row of its SQLite: that is how it is billed.
			for (const [name, field] of [["get", "object_rows_read"], ["put", "object_rows_written"], ["delete", "object_rows_written"]]) {
				if (!state.storage.kv) break;
				watch(state.storage.kv, name, (original) => function (...args) {
					counts[field] += 1;
					return original.apply(this, args);
				});
			}
			super(state, env);
		}
		fetch(request) {
			return countingRows(() => super.fetch(request));
		}
	};
	// What is called by name: each call is a request of the object, which the caller's side does not show.
	for (const name of Object.getOwnPropertyNames(inner.prototype)) {
		const method = inner.prototype[name];
		if (["constructor", "fetch", "alarm"].includes(name) || name.startsWith("_") || typeof method !== "function") continue;
		outer.prototype[name] = function (...args) {
			counts.object_calls += 1;
			return countingRows(() => method.apply(this, args));
		};
	}
	return outer;
}
