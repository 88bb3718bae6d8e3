import * as v from "valibot";
import type { PermissionHolder } from "../../../core/caller.ts";
import { PrismError } from "../../../core/errors.ts";
import { DEFAULT_KEY_SCOPES, type KeyScope, type Permission } from "../../../core/permissions.ts";
import { type Route, route } from "../../../http/api/route.ts";
import { holderOf } from "../../../http/server/access.ts";
import type { Uses } from "../../../module/feature.ts";
import { changeProject } from "../authorize.ts";
import { ApiKey, createKey, keyView, revokeKey, rotateKey } from "./keys.ts";
import { listKeys } from "./queries.ts";
import * as s from "./schema.ts";

const PATH = "/api/v1/projects/:id/keys";
const managing = { tag: "Projects", access: { tokenScopes: ["projects:create"] } } as const;

/** Scopes that reach beyond the project: only holders of the permission may grant them. */
const GUARDED_SCOPES: readonly KeyScope[] = ["notifications:send", "realtime:publish"];

/** A service token's scope for each scope of a key. Following a project is reading its events. Observations acknowledge. */
const TOKEN_SCOPES: Readonly<Record<KeyScope, Permission>> = {
  "events:write": "events:write",
  "events:read": "events:read",
  "realtime:subscribe": "events:read",
  "realtime:publish": "realtime:publish",
  "notifications:send": "notifications:send",
  "silences:write": "silences:write",
  "silences:broad": "silences:broad",
  "mirror:observe": "incidents:act",
};

/** The API keys of projects. */
export function keyRoutes(ctx: Uses<"audit" | "clock" | "db" | "principals" | "projects">): Route[] {
  return [
    route({
      method: "GET",
      path: PATH,
      id: "listApiKeys",
      summary: "List the API keys of a project, without their secrets (editor)",
      returns: "The API keys",
      ...managing,
      params: s.ProjectParams,
      response: () => v.object({ data: v.array(ApiKey.View) }),
      errors: ["PROJECT_NOT_FOUND"],
      async handle(exchange, { params }) {
        const projectId = ctx.projects.require(holderOf(exchange), params.id, "keys:read");
        return { data: (await listKeys(ctx.db.read, projectId)).map((key) => keyView(ctx, key)) };
      },
    }),
    route({
      method: "POST",
      path: PATH,
      id: "createApiKey",
      summary: "Create an API key (owner); a service token grants only scopes that it has",
      ...managing,
      params: s.ProjectParams,
      body: s.CreateKey,
      status: 201,
      response: s.IssuedKeyView,
      errors: ["PROJECT_NOT_FOUND", "PRIVILEGE_ESCALATION"],
      handle(exchange, { params, body }) {
        const principal = holderOf(exchange);
        const { scopes = DEFAULT_KEY_SCOPES, name = "key" } = body;
        return changeProject(ctx, principal, params.id, "project:manage", async (trx, { id: projectId }) => {
          requireMayGive(ctx, ctx.projects.current(principal), projectId, scopes);
          return createKey(ctx, { ...body, projectId, name, scopes, createdBy: principal.userId }, trx);
        });
      },
    }),
    route({
      method: "POST",
      path: `${PATH}/:keyId/rotate`,
      id: "rotateApiKey",
      summary: "Replace an API key; the old one works until the grace period ends (owner)",
      ...managing,
      params: s.KeyParams,
      body: s.RotateKey,
      status: 201,
      response: s.IssuedKeyView,
      errors: ["PROJECT_NOT_FOUND", "API_KEY_NOT_FOUND", "PRIVILEGE_ESCALATION"],
      handle(exchange, { params, body: { graceMs = 0 } }) {
        const principal = holderOf(exchange);
        return changeProject(ctx, principal, params.id, "project:manage", async (trx, project) => {
          const key = await rotateKey(ctx, project.id, params.keyId, graceMs, principal.userId, trx);
          // The new secret is a new key for the caller.
          requireMayGive(ctx, ctx.projects.current(principal), project.id, key.scopes);
          return key;
        });
      },
    }),
    route({
      method: "DELETE",
      path: `${PATH}/:keyId`,
      id: "revokeApiKey",
      summary: "Revoke an API key (owner); the next request with it is refused",
      ...managing,
      params: s.KeyParams,
      errors: ["PROJECT_NOT_FOUND", "API_KEY_NOT_FOUND"],
      handle: (exchange, { params }) =>
        changeProject(ctx, holderOf(exchange), params.id, "project:manage", (trx, { id }) =>
          revokeKey(ctx, id, params.keyId, trx),
        ),
    }),
  ];
}

/** @throws PRIVILEGE_ESCALATION */
function requireMayGive(
  { projects }: Uses<"projects">,
  principal: PermissionHolder,
  projectId: string,
  scopes: readonly KeyScope[],
): void {
  const isLacking = (scope: KeyScope): boolean =>
    scope === "silences:broad" && !projects.has(principal, projectId, scope);
  const refused = scopes.find((scope) => !mayGive(principal, scope) || isLacking(scope));
  if (refused) throw new PrismError("PRIVILEGE_ESCALATION", `Only a holder of ${refused} can grant it to a key`);
}

/** A key outlives the token that created it, so it may do no more than the token. */
export function mayGive({ permissions, tokenScopes }: PermissionHolder, scope: KeyScope): boolean {
  const needed = TOKEN_SCOPES[scope];
  return (!GUARDED_SCOPES.includes(scope) || permissions.has(needed)) && tokenScopes?.has(needed) !== false;
}
