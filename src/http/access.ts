import { PrismError } from "../base/errors.ts";
import type { Principal } from "../base/principal.ts";
import type { Access } from "./route.ts";

/** The one check of what a route demands of its caller. @throws UNAUTHORIZED_ROLE, SCOPE_MISSING, FORBIDDEN */
export function requireAccess(access: Access, principal: Principal): void {
  if (access === "public") return;
  if (principal.kind === "apiKey") {
    if (access.anyKey) return;
    if (access.keyScope === undefined) throw new PrismError("FORBIDDEN", "API keys cannot be used here");
    if (!principal.scopes.has(access.keyScope)) {
      throw new PrismError("SCOPE_MISSING", `The API key lacks the scope ${access.keyScope}`, {
        details: [{ code: "SCOPE_MISSING", message: `lacks the scope ${access.keyScope}`, scope: access.keyScope }],
      });
    }
    return;
  }
  if (access.permission === undefined || access.within === "project" || principal.permissions.has(access.permission))
    return;
  throw missingPermission(access.permission);
}

/** @param hint what the caller can do without the permission. */
export function missingPermission(permission: string, hint?: string): PrismError {
  const more = hint === undefined ? "" : `; ${hint}`;
  return new PrismError("UNAUTHORIZED_ROLE", `This needs the permission ${permission}${more}`, {
    details: [{ code: "UNAUTHORIZED_ROLE", message: `needs the permission ${permission}${more}`, permission }],
  });
}
