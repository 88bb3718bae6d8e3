import test from "node:test";
import { routesAdmitWhomTheyShould } from "./support/access/matrix.ts";

test("every route admits exactly those whom the contract names: the callers that access-matrix.test.ts leaves out", async (t) => {
  await routesAdmitWhomTheyShould(t, (caller, route) => (Math.floor(caller / 3) + route) % 5 !== 0);
});
