import test from "node:test";
import { keepsPromise } from "../../helpers/promise.ts";
import { liveEquals } from "./support/live-backtest.ts";

test("S2-87 a backtest comes to the same with the configured suppression for rules that say nothing of storms", (t) => {
  keepsPromise(t, "S2-87");
  return liveEquals(
    t,
    {
      "suppression.enforceDefault": "true",
      "suppression.defaultCount": "5",
      "suppression.defaultWindowMs": "30000",
    },
    5,
  );
});
