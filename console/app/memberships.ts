import { effect, signal } from "@preact/signals";
import type { Page } from "./api.ts";
import { PROJECTS } from "./projects.ts";
import { watch } from "./query.ts";
import { can, client, me } from "./session.ts";

interface Membership {
  readonly role: "viewer" | "editor" | "owner" | null;
}

/** Rights of roles in a project; the server checks them again. */
const EDITOR = [
  ...["events:read", "rules:read", "incidents:act", "silences:write", "heartbeats:write"],
  ...["receivers:write", "channels:write"],
];
const RIGHTS: Readonly<Record<string, readonly string[]>> = {
  viewer: ["events:read"],
  editor: EDITOR,
  owner: [...EDITOR, "rules:write", "silences:broad", "policies:write", "oncall:write"],
};

/** The roles of the user in projects; null until they are loaded. */
const roles = signal<ReadonlySet<string> | null>(null);

let latest: string | undefined;
effect(() => {
  const user = me.value;
  if (user?.id !== latest) roles.value = null;
  latest = user?.id;
  if (!user || !client.value || RIGHTS["owner"]?.every(can)) return;
  return watch<Page<Membership>>(PROJECTS.path, PROJECTS.query, ({ data, error }) => {
    if (data) roles.value = new Set(data.data.flatMap(({ role }) => role ?? []));
    // Without an answer the known roles stay.
    else if (error) roles.value ??= new Set();
  });
});

/**
 * Whether the user has a permission, or a role with it in a project.
 * @returns undefined until the projects are loaded
 */
export function canInProject(permission: string): boolean | undefined {
  if (can(permission)) return true;
  return roles.value === null ? undefined : [...roles.value].some((role) => RIGHTS[role]?.includes(permission));
}
