import { randomUUID } from "node:crypto";
import { makeRole } from "./makers.ts";
import { may } from "./refusals.ts";
import { at, inWorld, type Table } from "./row.ts";
import type { AccessWorld } from "./world.ts";

const role = ({ role: id }: AccessWorld): string => `/api/v1/roles/${id}`;

/** Contract 4.5: roles. */
export const ROLES: Table = {
  "GET /api/v1/roles": { refusal: may("roles:read"), request: at("/api/v1/roles") },
  "GET /api/v1/permissions": { refusal: may("roles:read"), request: at("/api/v1/permissions") },
  "GET /api/v1/roles/:id": { refusal: may("roles:read"), request: inWorld(role) },
  "POST /api/v1/roles": {
    refusal: may("roles:manage"),
    request: () => ({ path: "/api/v1/roles", body: { name: `r ${randomUUID()}`, permissions: ["events:read"] } }),
  },
  "PUT /api/v1/roles/:id": { refusal: may("roles:manage"), request: inWorld(role, { description: "again" }) },
  "DELETE /api/v1/roles/:id": {
    refusal: may("roles:manage"),
    request: async (world, _who, isServed) => ({
      path: isServed ? `/api/v1/roles/${await makeRole(world.prism)}` : role(world),
    }),
  },
};
