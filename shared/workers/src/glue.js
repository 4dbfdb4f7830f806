// What would be several calls out of wasm, and as many objects, is one here.

/** Method, URL and headers of a request, a line each: none of them can hold a line break. `forEach` makes no pairs, as iterating would. */
export function head(request) {
	let text = `${request.method}\n${request.url}`;
	request.headers.forEach((value, name) => {
		text += `\n${name}\n${value}`;
	});
	return text;
}

/** Adds headers, each one's name and value a line that ends. */
function add(headers, lines) {
	const parts = lines.split("\n");
	for (let i = 0; i + 1 < parts.length; i += 2) headers.append(parts[i], parts[i + 1]);
}

const kept = [];

/** Keeps headers that many responses have. */
export function keep(place, lines) {
	const headers = new Headers();
	add(headers, lines);
	kept[place] = headers;
}

/** A response with headers that are kept, and others of its own. */
export function respond(status, place, own, body) {
	const response = new Response(body, { status, headers: kept[place] });
	add(response.headers, own);
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

/** The rows of a statement as JSON; undefined where there are none. A statement is its text and then its values. */
export async function query(database, statement) {
	return rows(await prepared(database, statement).all());
}

/** The same for several, all or none of which are done. */
export async function batch(database, statements) {
	const results = await database.batch(statements.map((statement) => prepared(database, statement)));
	return results.map(rows);
}

function prepared(database, [sql, ...values]) {
	return database.prepare(sql).bind(...values);
}

function rows({ error, results }) {
	if (error) throw new Error(error);
	return results?.length ? JSON.stringify(results) : undefined;
}
