// What would be several calls out of wasm, and as many objects, is one here.

/**
 * Method, path with query, Cloudflare's word on the source address, and headers of a request, a line each: none of them can hold a line
 * break. The first line says whether there may be a body: a GET or HEAD without one has the headers `always` alone. A header's value
 * stands behind a colon; where there is no such header its line is empty.
 */
export function head(request, always, sending) {
	const { method, headers, url } = request;
	const sends = (method !== "GET" && method !== "HEAD") || request.body !== null;
	const rest = url.slice(url.indexOf("//") + 2);
	const end = rest.search(/[/?#]/);
	const path = end < 0 ? "/" : rest[end] === "/" ? rest.slice(end) : `/${rest.slice(end)}`;
	let text = `${sends ? "body" : ""}\n${method}\n${path}\n${headers.get("cf-connecting-ip") ?? ""}`;
	for (const names of sends ? [always, sending] : [always]) {
		for (const name of names) {
			const value = headers.get(name);
			text += value === null ? "\n" : `\n:${value}`;
		}
	}
	return text;
}

/** An array of strings that were joined by line breaks. */
export function list(lines) {
	return lines.split("\n");
}

const encoder = new TextEncoder();

/**
 * Writes a text into the memory of wasm, and says how many bytes it is; -1 where it has no room, and where it is so short that character by
 * character is quicker.
 */
export function copy(text, room) {
	if (typeof text !== "string" || text.length < 256 || text.length > room.length) return -1;
	const { read, written } = encoder.encodeInto(text, room);
	return read === text.length ? written : -1;
}

const kept = [];

/** Keeps what many responses have: a status, headers with their values, each in a line, and the names of others. */
export function keep(place, status, shared, own) {
	const response = new Response(null, { status });
	const lines = shared.split("\n");
	for (let i = 0; i + 1 < lines.length; i += 2) response.headers.append(lines[i], lines[i + 1]);
	kept[place] = { response, names: own.split("\n") };
}

/** A response like one that is kept, with the values of its other headers, a line each. */
export function respond(place, own, body) {
	const { response: like, names } = kept[place];
	const response = new Response(body, like);
	const { headers } = response;
	const values = own.split("\n");
	for (let i = 0; i + 1 < values.length; i++) headers.append(names[i], values[i]);
	return response;
}

/** Calls `settled` once the promise is, with `place`, whether it has a value, and the value or what it was rejected with. */
export function wait(promise, place, settled) {
	promise.then(
		(value) => settled(place, true, value),
		(error) => settled(place, false, error),
	);
}

/** Asks an entity's object (object.js), and gives the text of its reply. An error there is one here. */
export function ask(namespace, name, question) {
	return namespace.getByName(name).ask(question);
}

/**
 * Sends a request, of method, URL and headers a line each, and reads the response, of at most so many bytes within so many milliseconds.
 * Redirects are not followed.
 */
export async function exchange(fetcher, head, body, most, timeout) {
	const [method, url, ...lines] = head.split("\n");
	const headers = new Headers();
	for (let i = 0; i + 1 < lines.length; i += 2) headers.append(lines[i], lines[i + 1]);
	const controller = new AbortController();
	const timer = setTimeout(() => controller.abort(), timeout);
	try {
		const init = { method, headers, body, redirect: "manual", signal: controller.signal };
		const response = await (fetcher ? fetcher.fetch(url, init) : fetch(url, init));
		const chunks = [];
		let size = 0;
		for await (const chunk of response.body ?? []) {
			size += chunk.byteLength;
			// To leave the loop is to cancel the body.
			if (size > most) return "too large";
			chunks.push(chunk);
		}
		const whole = new Uint8Array(size);
		let at = 0;
		for (const chunk of chunks) {
			whole.set(chunk, at);
			at += chunk.byteLength;
		}
		return [response.status, whole];
	} catch (error) {
		if (controller.signal.aborted) return "timed out";
		throw error;
	} finally {
		clearTimeout(timer);
	}
}

/** A value of KV, or undefined. */
export async function read(store, key) {
	const value = await store.get(key, "arrayBuffer");
	return value === null ? undefined : new Uint8Array(value);
}

/** Puts a value into KV. */
export function write(store, key, value) {
	return store.put(key, value);
}

/** Removes all of these keys from KV: the platform takes six at once. */
export function remove(store, keys) {
	return Promise.all(keys.map((key) => store.delete(key)));
}

/** The rows of a statement as JSON, a line each. A statement is its text and then its values. */
export async function query(database, statement) {
	return rows([await prepared(database, statement).all()]);
}

/** The same for several, all or none of which are done, with a record separator between two. */
export async function batch(database, statements) {
	return rows(await database.batch(statements.map((statement) => prepared(database, statement))));
}

function prepared(database, [sql, ...values]) {
	return database.prepare(sql).bind(...values);
}

function rows(outcomes) {
	for (const { error } of outcomes) if (error) throw new Error(error);
	return outcomes.map(({ results }) => (results ?? []).map((row) => JSON.stringify(row)).join("\n")).join("\x1e");
}
