import { NO_KEYS } from "./refusals.ts";
import { at, inWorld, NO_ID, type Row, type Table } from "./row.ts";
import type { AccessWorld } from "./world.ts";

const PATH = "/api/v1/operator";

const only = (request: Row["request"], served?: Row["served"]): readonly Row[] => [
  { isOperators: true, refusal: () => NO_KEYS, request, ...(served ? { served } : {}) },
];

/** Accounts and credentials of all users: not reachable over a port, with any permission. */
export const OPERATOR: Table = {
  "GET /api/v1/operator/users": only(at(`${PATH}/users`)),
  "GET /api/v1/operator/users/:ref": only(inWorld(({ keeper }) => `${PATH}/users/${keeper}`)),
  "POST /api/v1/operator/users": only(
    at(`${PATH}/users`, { username: "by-operator", status: "active", roles: ["User"] }),
  ),
  "POST /api/v1/operator/users/:ref/password": only(
    inWorld(({ spare }: AccessWorld) => `${PATH}/users/${spare}/password`, { password: "a new horse battery" }),
  ),
  "GET /api/v1/operator/users/:ref/passkeys": only(inWorld(({ keeper }) => `${PATH}/users/${keeper}/passkeys`)),
  "DELETE /api/v1/operator/users/:ref/passkeys/:id": only(
    inWorld(({ keeper }: AccessWorld) => `${PATH}/users/${keeper}/passkeys/${NO_ID}`),
    [404, "PASSKEY_NOT_FOUND"],
  ),
  "POST /api/v1/operator/users/:ref/sign-in-link": only(
    inWorld(({ keeper }: AccessWorld) => `${PATH}/users/${keeper}/sign-in-link`),
  ),
  "POST /api/v1/operator/ntfy/tokens": only(
    at(`${PATH}/ntfy/tokens`, { rows: [{ user: "keeper", token: "tk_of_another_server" }] }),
  ),
  "POST /api/v1/operator/gotify/applications": only(
    at(`${PATH}/gotify/applications`, { rows: [{ user: "keeper", token: "Aof.another-server", name: "NAS" }] }),
  ),
  "POST /api/v1/operator/gotify/clients": only(
    at(`${PATH}/gotify/clients`, { rows: [{ user: "keeper", token: "Cof.another-server", name: "Phone" }] }),
  ),
  "POST /api/v1/operator/heartbeats/keys": only(
    at(`${PATH}/heartbeats/keys`, { rows: [{ project: "none", token: "of_another_server" }] }),
    [400, "VALIDATION_FAILED"],
  ),
  "POST /api/v1/operator/unlock": only(at(`${PATH}/unlock`, {})),
  "GET /api/v1/operator/tokens": only(at(`${PATH}/tokens`)),
  "POST /api/v1/operator/tokens": only(at(`${PATH}/tokens`, { user: "keeper", name: "by the operator" })),
  "DELETE /api/v1/operator/tokens/:id": only(at(`${PATH}/tokens/${NO_ID}`), [404, "TOKEN_NOT_FOUND"]),
  "GET /api/v1/operator/pusher-app": only(at(`${PATH}/pusher-app`)),
  "POST /api/v1/operator/encryption": only(at(`${PATH}/encryption`, {})),
  "POST /api/v1/operator/backups": only(
    at(`${PATH}/backups`, { id: NO_ID, bytes: 1, sha256: "0".repeat(64), withSecrets: false }),
  ),
  "GET /api/v1/operator/keys": only(at(`${PATH}/keys`)),
  "GET /api/v1/operator/keys/:id": only(at(`${PATH}/keys/${NO_ID}`), [404, "API_KEY_NOT_FOUND"]),
};
