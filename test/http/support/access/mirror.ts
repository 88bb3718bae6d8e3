import { inShop, NO_KEYS, NO_SCOPE, readEvents } from "./refusals.ts";
import { at, inWorld, type Table } from "./row.ts";

const { scope: _key, ...usersRead } = readEvents;
const OBSERVED = [{ ref: "1", kind: "notified", at: "2026-01-31T08:00:00Z", key: "a" }];

/** Projects beside another system: its keys report what that one did. */
export const MIRROR: Table = {
  "POST /api/v1/mirror/observed": {
    refusal: (who) => (who.kind === "key" ? (who.scope === "mirror:observe" ? null : NO_SCOPE) : NO_KEYS),
    request: at("/api/v1/mirror/observed", OBSERVED),
    // Neither project of the keys is a mirror.
    served: [409, "INVALID_STATE"],
  },
  "GET /api/v1/mirror/report": {
    refusal: inShop({ ...usersRead, hidden: "PROJECT_NOT_FOUND" }),
    request: inWorld(({ shop }) => `/api/v1/mirror/report?project=${shop}`),
  },
};
