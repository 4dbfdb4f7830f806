// What a module costs before it serves: `node compile.mjs LIST.json` compiles and instantiates each one some times, and prints the
// medians in milliseconds as JSON. The imports are stand-ins that do nothing: instantiating calls none of them but what the module's
// own start function calls.

import { readFileSync } from "node:fs";

const { modules, times } = JSON.parse(readFileSync(process.argv[2], "utf8"));

const median = (numbers) => numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)];

function importsOf(module) {
	const imports = {};
	for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
		imports[from] ??= {};
		if (kind === "function") imports[from][name] = () => 0;
		else if (kind === "memory") imports[from][name] = new WebAssembly.Memory({ initial: 32 });
		else if (kind === "table") imports[from][name] = new WebAssembly.Table({ initial: 128, element: "anyfunc" });
		else if (kind === "tag") imports[from][name] = new WebAssembly.Tag({ parameters: ["externref"] });
		else throw new Error(`an import of kind ${kind}: ${from}.${name}`);
	}
	return imports;
}

const results = [];
for (const { name, file } of modules) {
	const bytes = readFileSync(file);
	const compiled = [];
	const instantiated = [];
	for (let n = 0; n < times; n += 1) {
		const begun = performance.now();
		// A copy, so that no cache by identity answers.
		const module = await WebAssembly.compile(Uint8Array.from(bytes));
		compiled.push(performance.now() - begun);
		const imports = importsOf(module);
		const from = performance.now();
		await WebAssembly.instantiate(module, imports);
		instantiated.push(performance.now() - from);
	}
	results.push({ name, bytes: bytes.length, compile_ms: median(compiled), instantiate_ms: median(instantiated) });
}
console.log(JSON.stringify(results));
