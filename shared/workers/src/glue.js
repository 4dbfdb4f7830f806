// What would be several calls out of wasm, and as many objects, is one here.

/**
 * Method, URL and headers of a request, a line each: none of them can hold a line break. The first line says whether there may be a body:
 * a GET or HEAD without one has the headers `always` alone.
 */
export function head(request, always, sending) {
	const { method, headers } = request;
	const sends = (method !== "GET" && method !== "HEAD") || request.body !== null;
	let text = `${sends ? "body" : ""}\n${method}\n${request.url}`;
	for (const names of sends ? [always, sending] : [always]) {
		for (const name of names) {
			const value = headers.get(name);
			if (value !== null) text += `\n${name}\n${value}`;
		}
	}
	return text;
}

/** An array of strings that were joined by line breaks. */
export function list(lines) {
	return lines.split("\n");
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

/** Asks an entity's object (object.js), and gives the text of its reply. An error there is one here. */
export function ask(namespace, name, question) {
	return namespace.getByName(name).ask(question);
}

/** A value of KV, or undefined. */
export async function read(store, key) {
	const value = await store.get(key, "arrayBuffer");
	return value === null ? undefined : new Uint8Array(value);
}

/** Puts a value into KV. */
export async function write(store, key, value) {
	await store.put(key, value);
}

/** Removes all of these keys from KV: the platform takes six at once. */
export async function remove(store, keys) {
	await Promise.all(keys.map((key) => store.delete(key)));
}

/** The rows of a statement as JSON, a line each. A statement is its text and then its values. */
export async function query(database, statement) {
	return rows([await prepared(database, statement).all()]);
}

/** The same for several, all or none of which are done, with an empty line between two. */
export async function batch(database, statements) {
	return rows(await database.batch(statements.map((statement) => prepared(database, statement))));
}

function prepared(database, [sql, ...values]) {
	return database.prepare(sql).bind(...values);
}

function rows(outcomes) {
	for (const { error } of outcomes) if (error) throw new Error(error);
	return outcomes.map(({ results }) => (results ?? []).map((row) => JSON.stringify(row)).join("\n")).join("\n\n");
}
