// What stands at the top of the Worker: what worker-build made, without what it puts around each request.
import { workerOf } from "../../shared/workers/src/entry.js";
import Built from "./build/index.js";

export default workerOf(Built);
