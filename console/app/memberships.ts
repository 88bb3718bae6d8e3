import { effect, signal } from "@preact/signals";
import { api, type Page } from "./api.ts";
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

/** The number of the latest request: answers of earlier ones are older. */
let turn = 0;
let latest: string | undefined;
effect(() => {
  const user = me.value;
  if (user?.id !== latest) roles.value = null;
  latest = user?.id;
  if (user && client.value && !RIGHTS["owner"]?.every(can)) void load(user.id);
});

async function load(userId: string): Promise<void> {
  turn += 1;
  const own = turn;
  const page = await api.get<Page<Membership>>("/projects", { limit: 100 }).catch(() => null);
  if (me.peek()?.id !== userId || own !== turn) return;
  // Without an answer the known roles stay.
  if (page) roles.value = new Set(page.data.flatMap(({ role }) => role ?? []));
  else roles.value ??= new Set();
}

/**
 * Whether the user has a permission, or a role with it in a project.
 * @returns undefined until the projects are loaded
 */
export function canInProject(permission: string): boolean | undefined {
  if (can(permission)) return true;
  return roles.value === null ? undefined : [...roles.value].some((role) => RIGHTS[role]?.includes(permission));
}
