// As in the product: what worker-build made, with the object's class around the one of wasm.
import { objectOf } from "../../shared/workers/src/object.js";
import worker, { FloorEntity as Inside } from "./build/index.js";

export default worker;
export const FloorEntity = objectOf(Inside);
