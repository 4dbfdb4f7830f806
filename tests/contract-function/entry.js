// What stands at the top of the Worker, as in functions that are asked often and in the one with objects: both are held to the contracts.
import { workerOf } from "../../shared/workers/src/entry.js";
import { objectOf } from "../../shared/workers/src/object.js";
import Built, { CounterEntity as Inside } from "./build/index.js";

export default workerOf(Built);
export const CounterEntity = objectOf(Inside);
