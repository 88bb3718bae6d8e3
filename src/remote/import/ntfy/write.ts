import { DISALLOWED_TOPICS } from "../../../features/protocols/ntfy/parameters.ts";
import { OldAccounts } from "../accounts.ts";
import { ImportedFiles } from "../files.ts";
import type { OldNtfy } from "./read.ts";
import { writeSettings } from "./settings.ts";

/** As Prism has them. */
const PATTERN = /^[-_A-Za-z0-9*]{1,64}$/;
const isTopic = (name: string) => /^[-_A-Za-z0-9]{1,64}$/.test(name) && !DISALLOWED_TOPICS.includes(name);
const TOKEN = /^tk_[A-Za-z0-9_-]{7,61}$/;
const MAX_TOKENS = 60;
const MAX_RIGHTS = 1000;
const MAX_TOPICS = 1000;
const EVERYONE: readonly string[] = ["everyone", "*"];

/** Words of `ntfy access`, and Prism's. */
const PERMISSIONS: Readonly<Record<string, string>> = {
  ...{ "read-write": "read-write", rw: "read-write", "read-only": "read", read: "read", ro: "read" },
  ...{ "write-only": "write", write: "write", wo: "write", "deny-all": "none", deny: "none", none: "none" },
};

type Rights = Record<string, string>;

/** @param project slug of the project that has the topics */
export function writeNtfy(old: OldNtfy, { project }: { readonly project: string }): ImportedFiles {
  const files = new ImportedFiles("ntfy");
  const { settings } = old;
  const accounts = new OldAccounts(files);
  const names = new Map<string, string>();
  const members: Record<string, string> = {};
  for (const { user, pass, role } of allUsers(old)) {
    const name = accounts.add({ name: user, passwordHash: pass });
    if (name === undefined) continue;
    names.set(user, name);
    if (role === "admin") members[name] = "owner";
  }
  const ntfyAccess = rightsOf(old, names, files);
  addTokens(old, names, accounts, files);
  accounts.write();
  const ntfyTopics = topicsOf(old, files);
  files.add(files.fileFor(project), {
    projects: [
      {
        slug: project,
        ...(Object.keys(members).length > 0 && { members }),
        ...(ntfyTopics.length > 0 && { ntfyTopics }),
        ntfyAccess,
      },
    ],
  });
  for (const name of Object.keys(members))
    files.note("account", name, "changed", `an administrator of ntfy is an owner of the project ${project} here`);
  for (const { phone_number } of old.phones)
    files.note("phone number", phone_number, "not taken", "its owner adds it under Account");
  for (const { name } of old.tiers) files.note("tier", name, "not taken", "Prism's limits are the same for all");
  const cache = settings?.["cache-file"];
  if (old.topics?.length)
    files.note("messages", "cache", "not taken", "they stay in the old server, and are hours old");
  else if (old.topics === null && typeof cache === "string")
    files.note("topics", cache, "to do", "its topics were not read: give the file by --cache-db, or make them by hand");
  if (settings === null) files.note("setting", "auth-default-access", "to do", DEFAULT_UNKNOWN);
  else writeSettings(settings, files);
  return files;
}

const DEFAULT_UNKNOWN =
  "server.yml was not given; without a right the rights in the project decide: prism ntfy access everyone '*' with " +
  "none, read, write or read-write";

/** Those of the database, and of `auth-users`, which are before them. */
function allUsers({ users, settings }: OldNtfy) {
  const given = listOf(settings?.["auth-users"]).map((line) => {
    const [user = "", pass = "", role = "user"] = line.split(":");
    return { user, pass, role };
  });
  const own = new Set(given.map(({ user }) => user));
  return [...given, ...users.filter(({ user }) => !own.has(user))];
}

/** A list of YAML, or texts separated by commas. */
function listOf(value: unknown): readonly string[] {
  const list = Array.isArray(value) ? value : typeof value === "string" ? value.split(",") : [];
  return list.map((each) => String(each).trim()).filter(Boolean);
}

function rightsOf({ settings, access, users }: OldNtfy, names: ReadonlyMap<string, string>, files: ImportedFiles) {
  const everyone: Rights = {};
  const byUser: Record<string, Rights> = {};
  const add = (user: string, topic: string, permission: string | undefined) => {
    const name = names.get(user);
    const isForAll = EVERYONE.includes(user);
    if (permission === undefined || !PATTERN.test(topic))
      files.note("right", `${user} ${topic}`, "not taken", "it has another form; set it by prism ntfy access");
    else if (!isForAll && name === undefined)
      files.note("right", `${user} ${topic}`, "not taken", "its user is not taken");
    else if (isForAll) everyone[topic] = permission;
    else byUser[String(name)] = { ...byUser[String(name)], [topic]: permission };
  };
  if (settings !== null) {
    const hasUsers = users.length > 0 || settings["auth-file"] || settings["auth-users"];
    // Without a database of users ntfy asks for none.
    const initial = hasUsers ? String(settings["auth-default-access"] ?? "read-write") : "read-write";
    add("everyone", "*", PERMISSIONS[initial]);
  }
  const nameOf = new Map(users.map(({ id, user }) => [id, user]));
  for (const { user_id, topic, read, write } of access) {
    const user = user_id === "u_everyone" ? "everyone" : nameOf.get(user_id);
    const permission = read ? (write ? "read-write" : "read") : write ? "write" : "none";
    // A user that was deleted has none.
    if (user !== undefined) add(user, topic.replaceAll("\\_", "_").replaceAll("%", "*"), permission);
  }
  for (const line of listOf(settings?.["auth-access"])) {
    const [user = "", topic = "", word = ""] = line.split(":");
    add(user, topic, PERMISSIONS[word]);
  }
  const all = [everyone, ...Object.values(byUser)].map((rights) => Object.keys(rights).length);
  const count = all.reduce((sum, each) => sum + each, 0);
  files.count("rights", count);
  if (count > MAX_RIGHTS)
    files.note(
      "rights",
      String(count),
      "not taken",
      `a project has at most ${MAX_RIGHTS}: use patterns, or two projects`,
    );
  return { everyone, users: byUser };
}

function addTokens(
  { tokens, users, settings }: OldNtfy,
  names: ReadonlyMap<string, string>,
  accounts: OldAccounts,
  files: ImportedFiles,
): void {
  const nameOf = new Map(users.map(({ id, user }) => [id, user]));
  const given = listOf(settings?.["auth-tokens"]).map((line) => {
    const [user = "", token = "", ...label] = line.split(":");
    return { user, token, label: label.join(":"), expires: 0 };
  });
  const stored = tokens.map(({ user_id, ...token }) => ({ ...token, user: nameOf.get(user_id) ?? "" }));
  const seen = new Set<string>();
  const counts = new Map<string, number>();
  for (const { user: old, token, label, expires } of [...given, ...stored]) {
    const user = names.get(old);
    if (seen.has(token) || old === "") continue;
    seen.add(token);
    const count = counts.get(old) ?? 0;
    const about = `${label || "without a label"}, of ${old}`;
    if (user === undefined) files.note("token", about, "not taken", "its user is not taken");
    else if (!TOKEN.test(token)) files.note("token", about, "not taken", "it has another form; make a new one");
    else if (count >= MAX_TOKENS)
      files.note("token", about, "not taken", `an account has at most ${MAX_TOKENS}; make a new one`);
    else {
      counts.set(old, count + 1);
      accounts.token({
        ...{ kind: "ntfyToken", user, token },
        ...(label && { label: label.slice(0, 100) }),
        ...(expires && { expiresAt: new Date(expires * 1000).toISOString() }),
      });
    }
  }
}

function topicsOf({ topics }: OldNtfy, files: ImportedFiles) {
  // Those of UnifiedPush come again with the next message.
  const named = (topics ?? []).filter((topic) => isTopic(topic) && !/^up[A-Za-z0-9]{12}$/.test(topic));
  files.count("topics", Math.min(named.length, MAX_TOPICS));
  if (named.length > MAX_TOPICS)
    files.note(
      "topics",
      String(named.length),
      "changed",
      `${MAX_TOPICS} are taken; others are made by their next message`,
    );
  return named.slice(0, MAX_TOPICS).map((name) => ({ name, kind: "messages" }));
}
