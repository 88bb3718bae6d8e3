import { may } from "./refusals.ts";
import { at, type Table } from "./row.ts";

/** Contract 4.11. */
export const AUDIT: Table = {
  "GET /api/v1/audit": { refusal: may("audit:read"), request: at("/api/v1/audit") },
  "GET /api/v1/audit/verify": { refusal: may("audit:read"), request: at("/api/v1/audit/verify") },
  "GET /api/v1/audit/export": { refusal: may("audit:export"), request: at("/api/v1/audit/export") },
};
