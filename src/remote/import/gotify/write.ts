import { OldAccounts } from "../accounts.ts";
import { ImportedFiles } from "../files.ts";
import type { OldGotify } from "./read.ts";

/** As Prism takes them. */
const TOKENS = { A: /^A[A-Za-z0-9._-]{9,63}$/, C: /^C[A-Za-z0-9._-]{9,63}$/ } as const;
const MAX_NAME = 200;
const MAX_DESCRIPTION = 2000;
const MAX_PRIORITY = 10;

export function writeGotify({ users, applications, clients, plugins, messages }: OldGotify): ImportedFiles {
  const files = new ImportedFiles("gotify");
  const accounts = new OldAccounts(files);
  const names = new Map<number, string>();
  for (const { id, name: old, pass, admin, oidc_id } of users) {
    const name = accounts.add({ name: old, passwordHash: pass ?? "", externalId: externalIdOf(oidc_id) });
    if (name === undefined) continue;
    names.set(id, name);
    if (admin)
      files.note("account", old, "to do", `it is an administrator of Gotify: prism user role ${name} --role Admin`);
  }
  /** The owner of a token that can be taken. */
  const ownerOf = (kind: keyof typeof TOKENS, what: string, { token, user_id }: { token: string; user_id: number }) => {
    const owner = names.get(user_id);
    const isReadable = TOKENS[kind].test(token);
    const why = isReadable ? "its user is not taken" : "its token has another form: make it again";
    if (owner === undefined || !isReadable) files.note(kind === "A" ? "application" : "client", what, "not taken", why);
    return isReadable ? owner : undefined;
  };
  for (const row of applications) {
    const { name, description, default_priority: priority, image, internal, token } = row;
    const what = name || "without a name";
    if (internal) {
      files.note("application", what, "not taken", "a plugin of Gotify made it");
      continue;
    }
    const user = ownerOf("A", what, row);
    if (user === undefined) continue;
    if (image) files.note("application", what, "to do", "its owner gives it its image again, in the app");
    accounts.token({
      ...{ kind: "gotifyApplication", user, token, name: what.slice(0, MAX_NAME) },
      ...(description && { description: description.slice(0, MAX_DESCRIPTION) }),
      ...(priority && { defaultPriority: Math.min(Math.max(priority, 0), MAX_PRIORITY) }),
    });
  }
  for (const row of clients) {
    const what = row.name || "without a name";
    const user = ownerOf("C", what, row);
    const span = row.expires_after_inactivity_seconds;
    if (user !== undefined)
      accounts.token({
        ...{ kind: "gotifyClient", user, token: row.token, name: what.slice(0, MAX_NAME) },
        ...(span && { expiresAfterInactivitySeconds: span }),
      });
  }
  for (const { module_path: path, user_id } of plugins)
    files.note(
      "plugin",
      path,
      "not taken",
      `of ${names.get(user_id) ?? "a user who is not taken"}; use a rule or a module`,
    );
  if (messages > 0) files.note("messages", String(messages), "not taken", "they stay in the old server");
  accounts.write();
  return files;
}

/** Of OIDC: `<issuer>#<subject>`. */
function externalIdOf(id: string | null | undefined): string | undefined {
  return id && id.length <= 128 && id !== "me" ? id : undefined;
}
