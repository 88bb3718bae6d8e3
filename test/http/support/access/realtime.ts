import type { Known } from "./known.ts";
import { inShop, readEvents } from "./refusals.ts";
import { at, open, type Refusal, type Row, type Rule, type Table } from "./row.ts";
import type { AccessWorld } from "./world.ts";

const upgradeOnly = (path: string): Row => ({ ...open(path), served: [426, "UPGRADE_REQUIRED"] });

/** Contract 4.12, 5.3. */
export const REALTIME: Table = {
  "GET /ws": [upgradeOnly("/ws")],
  "GET /api/v1/realtime/:projectId": [upgradeOnly("/api/v1/realtime/default")],
  "POST /api/v1/realtime/ticket": [{ refusal: () => null, request: at("/api/v1/realtime/ticket", {}) }],
  "GET /api/v1/realtime/:projectId/sse": [
    {
      refusal: inShop({ ...readEvents, hidden: "PROJECT_NOT_FOUND" }),
      request: (world) => ({ path: `/api/v1/realtime/${world.shop}/sse`, method: "HEAD" }),
    },
  ],
};

/** The same for WebSocket upgrades (5.2, 5.3): what they answer in place of 101. */
export const UPGRADES: readonly { readonly path: (world: AccessWorld) => string; readonly refusal: Rule }[] = [
  { path: () => "/ws", refusal: () => null },
  ...["", "/api/v1"].map((prefix) => ({
    path: ({ shop: id }: AccessWorld) => `${prefix}/realtime/${id}`,
    refusal: (who: Known): Refusal | null =>
      who.kind === "key" && !who.isOfShop
        ? [404, "PROJECT_NOT_FOUND"]
        : inShop({ ...readEvents, hidden: "PROJECT_NOT_FOUND" })(who),
  })),
];
