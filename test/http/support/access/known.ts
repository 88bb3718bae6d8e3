export const ROLES = ["Admin", "RuleManager", "Operator", "User", "Viewer", "Auditor"] as const;
export const MEMBERSHIPS = ["viewer", "editor", "owner"] as const;
export const SCOPES = [
  "events:write",
  "events:read",
  "realtime:subscribe",
  "realtime:publish",
  "notifications:send",
  "silences:write",
  "silences:broad",
  "mirror:observe",
] as const;

/** Of every user who calls. */
export const CALLERS_PASSWORD = "correct horse battery";

export type Membership = (typeof MEMBERSHIPS)[number];

/** A caller with a valid credential. */
export type Known =
  | {
      readonly kind: "user";
      readonly role: (typeof ROLES)[number] | null;
      readonly member: Membership | null;
      readonly id: string;
      /** Permissions that the user's service token was made for; null: the user has logged in. */
      readonly scopes: readonly string[] | null;
    }
  | { readonly kind: "key"; readonly scope: (typeof SCOPES)[number]; readonly isOfShop: boolean };

/** For requests of unknown callers. */
export const ANYBODY: Known = { kind: "user", role: null, member: null, id: "", scopes: null };

/** `refused`: what every route that is not public answers whatever it is about. */
export type Caller = { readonly name: string; readonly headers: Readonly<Record<string, string>> } & (
  | Known
  | { readonly kind: "refused"; readonly status: number; readonly code: string }
);
