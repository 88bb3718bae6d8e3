// Imported first by each test process when TEST_SEED is in the environment: properties without a
// seed of their own take it.
import fc from "fast-check";
import { TEST_SEED } from "./chance.ts";

fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: TEST_SEED });
