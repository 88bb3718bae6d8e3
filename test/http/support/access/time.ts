import { may } from "./refusals.ts";
import { at, type Table } from "./row.ts";

const TIMER = {
  label: "l",
  delayMs: 31_536_000_000,
  action: { type: "notify", payload: { userId: "me", title: "t", body: "b" } },
};

/** Contract 4.10. */
export const TIME: Table = {
  "POST /api/v1/time/trigger": [{ refusal: may("timers:create"), request: at("/api/v1/time/trigger", TIMER) }],
};
