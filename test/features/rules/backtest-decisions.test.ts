import test from "node:test";
import { liveEquals } from "./support/live-backtest.ts";

test("S2-129 S2-115 a backtest comes to what the live engine decided on the same events", (t) =>
  liveEquals(t, {}, null));
