/**
 * A program of its own: how long a new process needs to load a contender and have its first call answered.
 * Arguments: the contender and the URL of the server. Prints the milliseconds.
 */
import { performance } from "node:perf_hooks";
import { contenders } from "../rivals.mjs";

const [contender, url] = process.argv.slice(2);
const began = performance.now();
const { store, close } = await contenders[contender].open(url);
await store.isExecutionInProgress("nobody");
const answered = performance.now();
await close();
process.stdout.write(String(answered - began));
