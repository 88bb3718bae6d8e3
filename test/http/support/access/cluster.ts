import { may } from "./refusals.ts";
import { at, type Table } from "./row.ts";

const refusal = may("system:manage");

/** Docs: the permission system:manage. The server of the test is no node of a cluster. */
export const CLUSTER: Table = {
  "DELETE /api/v1/cluster/nodes/:name": { refusal, request: at("/api/v1/cluster/nodes/b"), served: [404, "NOT_FOUND"] },
  "GET /api/v1/cluster": { refusal, request: at("/api/v1/cluster") },
  "POST /api/v1/cluster/compare": { refusal, request: at("/api/v1/cluster/compare"), served: [409, "NO_STANDBY"] },
  "POST /api/v1/cluster/drill": { refusal, request: at("/api/v1/cluster/drill", {}), served: [409, "NO_STANDBY"] },
  "POST /api/v1/cluster/step-down": {
    refusal,
    request: at("/api/v1/cluster/step-down", {}),
    served: [409, "NO_STANDBY"],
  },
};
