import type { UserPrincipal } from "../../core/principal.ts";

/** Whether what somebody has sent or received is there for this caller: for the person always, for a service token only when it was made for it. */
export function mayUseMessages({ tokenScopes, permissions }: UserPrincipal): boolean {
  return tokenScopes === null || permissions.has("messages:own");
}
