import { inShop, may, readEvents, scoped } from "./refusals.ts";
import { at, inWorld, open, type Table } from "./row.ts";

const OF_STATS = ["events:read", "notifications:own", "notifications:read_all", "jobs:read", "system:status"];
const OF_ATTENTION = ["notifications:own", "notifications:read_all", "jobs:read", "system:status", "users:approve"];

export const OPERATIONS: Table = {
  "GET /health": open("/health"),
  "GET /health/live": open("/health/live"),
  "GET /health/ready": open("/health/ready"),
  "GET /health/db": open("/health/db"),
  "GET /health/redis": open("/health/redis"),
  "GET /api/v1/openapi.json": open("/api/v1/openapi.json"),
  "GET /": open("/"),
  "GET /dashboard": open("/dashboard"),
  "GET /dashboard/": open("/dashboard/"),
  "GET /dashboard/:part0": open("/dashboard/rules"),
  "GET /dashboard/:part0/:part1": open("/dashboard/rules/1"),
  "GET /dashboard/:part0/:part1/:part2": open("/dashboard/rules/1/versions"),
  "GET /dashboard/:part0/:part1/:part2/:part3": open("/dashboard/rules/1/versions/2"),
  "GET /dashboard/assets/:name": { ...open("/dashboard/assets/none.js"), served: [404, "NOT_FOUND"] },
  "GET /docs": open("/docs"),
  "GET /docs/:topic": open("/docs/rules"),
  "GET /docs/decisions/:topic": open("/docs/decisions/http"),
  "GET /docs/integrations/:topic": open("/docs/integrations/github"),
  "GET /docs/images/:name": open("/docs/images/overview-light.png"),
  "GET /docs/api": open("/docs/api"),
  "GET /docs/manual.css": open("/docs/manual.css"),
  "GET /docs/search": open("/docs/search?q=rules"),
  "GET /docs/init.js": open("/docs/init.js"),
  "GET /docs/swagger-ui.css": open("/docs/swagger-ui.css"),
  "GET /docs/swagger-ui-bundle.js": {
    ...open("/docs/swagger-ui-bundle.js"),
    request: () => ({ path: "/docs/swagger-ui-bundle.js", method: "HEAD" }),
  },
  ...Object.fromEntries(
    ["reset-password", "invite", "verify-email", "project-invitation", "unsubscribe"].map((page) => [
      `GET /account/${page}`,
      [open(`/account/${page}`)],
    ]),
  ),
  "GET /account/acknowledge": { ...open("/account/acknowledge"), served: [401, ""] },
  "POST /account/acknowledge": { ...open("/account/acknowledge?token=none"), served: [401, "TOKEN_INVALID"] },
  "POST /account/unsubscribe": { ...open("/account/unsubscribe?token=none"), served: [401, "SIGNATURE_INVALID"] },
  "GET /prism-client.js": open("/prism-client.js"),
  "GET /metrics": { refusal: may("system:status"), request: at("/metrics") },
  "GET /api/v1/stats": [
    { refusal: scoped(OF_STATS), request: at("/api/v1/stats") },
    {
      refusal: scoped(OF_STATS, inShop({ from: readEvents.from, hidden: "PROJECT_NOT_FOUND" })),
      request: inWorld((world) => `/api/v1/stats?projectId=${world.shop}`),
    },
  ],
  "GET /api/v1/attention": { refusal: scoped(OF_ATTENTION), request: at("/api/v1/attention") },
  "GET /api/v1/status": { refusal: may("system:status"), request: at("/api/v1/status") },
};
