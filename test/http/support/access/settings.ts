import { may } from "./refusals.ts";
import { at, type Table } from "./row.ts";

const VALUES = { values: { "alert.errorThreshold": 12 } };

/** Docs: the permission system:manage. */
export const SETTINGS: Table = {
  "GET /api/v1/settings": { refusal: may("system:manage"), request: at("/api/v1/settings") },
  "PUT /api/v1/settings": { refusal: may("system:manage"), request: at("/api/v1/settings", VALUES) },
  "POST /api/v1/settings/check": { refusal: may("system:manage"), request: at("/api/v1/settings/check", VALUES) },
  "POST /api/v1/settings/mail-test": {
    refusal: may("system:manage"),
    request: at("/api/v1/settings/mail-test", { to: "ops@example.com" }),
  },
};
