import * as v from "valibot";
import { isUuid } from "../../../core/ids.ts";
import { shownPermissions } from "../../../core/permissions.ts";
import { flag, given, json, type RowOf, resource, stored, time } from "../../../http/api/resource.ts";
import { doc, text } from "../../../http/api/shapes.ts";

declare module "../../../store/schema.ts" {
  interface Schema {
    roles: StoredRole;
  }
}

const name = v.pipe(
  text(100, 1),
  v.check(
    (value) => value.trim() === value && !/[\n\t]/.test(value),
    "must be one line that neither begins nor ends with a space",
  ),
  // Rules name roles by name or id.
  v.check((value) => !isUuid(value), "must not be a UUID"),
);
const permissions = v.pipe(
  v.array(doc(text(100, 1), "A permission of Prism, or a name of another program that has no effect here")),
  v.maxLength(128, "must be at most 128 permissions"),
);

/** A bundle of permissions that users are given. */
export const Role = resource("Role", "A role", "roles", () => ({
  id: stored(v.string()),
  name: given(name, "Name"),
  description: given(text(2000), "Purpose of the role").or(""),
  permissions: given(permissions, "Permissions", json()).shownAs(v.array(v.string())),
  builtin: stored(v.boolean(), flag).or(0),
  version: stored(v.number()).or(1),
  createdAt: stored(v.string(), time),
  updatedAt: stored(v.string(), time),
}));
export type StoredRole = RowOf<typeof Role>;

export function heldBy({ permissions }: StoredRole): string[] {
  return JSON.parse(permissions) as string[];
}

export function roleView(role: StoredRole) {
  return Role.view(role, { permissions: shownPermissions(heldBy(role)) });
}
