// What stands at the top of the Worker: what worker-build made, with the object's class around the one of wasm.
import { objectOf } from "../../shared/workers/src/object.js";
import worker, { CounterEntity as Inside } from "./build/index.js";

export default worker;
export const CounterEntity = objectOf(Inside);
