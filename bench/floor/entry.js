// As in the product: what worker-build made, without what it puts around each request, and with the object's class around the one of wasm.
import { workerOf } from "../../shared/workers/src/entry.js";
import { objectOf } from "../../shared/workers/src/object.js";
import Built, { FloorEntity as Inside } from "./build/index.js";

export default workerOf(Built);
export const FloorEntity = objectOf(Inside);
