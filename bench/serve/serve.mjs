// Starts Workers on workerd itself, through Miniflare and without `wrangler dev`: `node serve.mjs DESCRIPTION.json`.
//
// Every Worker of the description listens on a port of its own, so that a request meets nothing but the Worker: Miniflare's own
// entry, which pretends to be Cloudflare's edge, is not on the way. When all is ready, one line of JSON goes to standard output:
// `{"urls": {"<worker>": "http://127.0.0.1:<port>"}, "workerd": "<version>"}`. SIGTERM ends it.
//
// A description is
// {
//   "miniflare": folder of the package,
//   "state": folder of D1, KV and Durable Objects (none: they live as long as the process),
//   "workers": [{
//     "name", "folder" (with index.js and the modules it imports), "main"?, "date", "flags",
//     "vars": {name: value}, "d1": {binding: id}, "kv": {binding: id},
//     "objects": {binding: {"class", "script"?}}, "services": {binding: worker}, "count": bool
//   }]
// }
// With "count" the Worker is wrapped by count.mjs, which tells at /__bench/counts what its requests did.

import { readFileSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const description = JSON.parse(readFileSync(process.argv[2], "utf8"));
const require = createRequire(join(description.miniflare, "package.json"));
const { Miniflare, convertV4MiniflareOptions } = require(description.miniflare);
const here = dirname(fileURLToPath(import.meta.url));

/** Modules of the kinds that the built functions import, named as they import them. */
function modulesOf(worker) {
	const main = worker.main ?? "index.js";
	const wasm = readdirSync(worker.folder).filter((name) => name.endsWith(".wasm"));
	const modules = [
		{ type: "ESModule", path: join(worker.folder, main) },
		...wasm.map((name) => ({ type: "CompiledWasm", path: join(worker.folder, name) })),
	];
	if (!worker.count) return modules;
	const classes = Object.values(worker.objects ?? {}).filter((object) => (object.script ?? worker.name) === worker.name);
	const wrapper = [
		`import * as worker from "./${main}";`,
		`import { counted, countedObject } from "./count.mjs";`,
		`export default counted(worker.default);`,
		...classes.map((object) => `export const ${object.class} = countedObject(worker.${object.class});`),
	].join("\n");
	return [
		{ type: "ESModule", path: join(worker.folder, "counted-entry.mjs"), contents: wrapper },
		{ type: "ESModule", path: join(worker.folder, "count.mjs"), contents: readFileSync(join(here, "count.mjs"), "utf8") },
		...modules,
	];
}

function optionsOf(worker) {
	const objects = Object.entries(worker.objects ?? {}).map(([binding, object]) => [
		binding,
		{ className: object.class, useSQLite: true, ...(object.script && object.script !== worker.name ? { scriptName: object.script } : {}) },
	]);
	return {
		name: worker.name,
		modules: modulesOf(worker),
		modulesRoot: worker.folder,
		compatibilityDate: worker.date,
		compatibilityFlags: worker.flags ?? [],
		bindings: worker.vars ?? {},
		d1Databases: worker.d1 ?? {},
		kvNamespaces: worker.kv ?? {},
		durableObjects: Object.fromEntries(objects),
		serviceBindings: worker.services ?? {},
		unsafeDirectSockets: [{ host: "127.0.0.1", port: 0 }],
	};
}

const miniflare = new Miniflare(
	convertV4MiniflareOptions({
		host: "127.0.0.1",
		port: 0,
		cf: false,
		...(process.env.INSPECTOR_PORT ? { inspectorPort: Number(process.env.INSPECTOR_PORT) } : {}),
		logRequests: false,
		// The Workers' own lines of log cost what they cost in workerd; here only what went wrong is kept.
		handleStructuredLogs: ({ level, message }) => {
			if (level === "error" || level === "warn") console.error(`${level}: ${message}`);
		},
		resourcePersistencePath: description.state ?? undefined,
		workers: description.workers.map(optionsOf),
	}),
);

async function stop() {
	await miniflare.dispose();
	process.exit(0);
}
process.on("SIGTERM", stop);
process.on("SIGINT", stop);

await miniflare.ready;
const urls = {};
for (const worker of description.workers) {
	urls[worker.name] = new URL(await miniflare.unsafeGetDirectURL(worker.name)).origin;
}
const version = (name) => {
	try {
		return JSON.parse(readFileSync(join(description.miniflare, "..", name, "package.json"), "utf8")).version;
	} catch {
		return "unknown";
	}
};
console.log(JSON.stringify({ urls, workerd: version("workerd"), miniflare: version("miniflare") }));
