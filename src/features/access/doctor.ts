import { sql } from "kysely";
import type { Config } from "../../config/load.ts";
import { isProxied, outgoingProxyOf, requestThrough, targetOf } from "../../config/outgoing-proxy.ts";
import { connectionReason } from "../../core/errors.ts";
import { type Finding, fail, pass, warn } from "../../core/finding.ts";
import type { KeyScope } from "../../core/permissions.ts";
import { bytesText, countText } from "../../core/text/clean-text.ts";
import { SAMPLE_DOMAIN } from "../../core/text/vocabulary.ts";
import type { StoredFindings } from "../../module/findings.ts";
import type { ReadDb } from "../../store/database.ts";
import { readSetting } from "../../store/setting-rows.ts";
import { fetchKeySet, usableKeys } from "./authenticate/issuer-tokens.ts";
import { heldRoles, type KeyMaker, mayUseScope, permissionsOf } from "./authorize.ts";
import { DEFAULT_OPEN_SETTING } from "./first-start.ts";
import { signInFindings } from "./group-rights/findings.ts";
import { relyingPartyOf } from "./passkeys/relying-party.ts";

/** Lines of members in one message. */
const SHOWN_MEMBERS = 50;

/** Accounts with the mail address of another account as external id: created for an unknown recipient. */
export async function checkAccounts(db: ReadDb): Promise<Finding[]> {
  const rows = await db
    .selectFrom("users as made")
    .innerJoin("users as owner", (join) => join.on("owner.email", "=", sql<string>`lower(made.externalId)`))
    .whereRef("owner.id", "!=", "made.id")
    .where("made.deletedAt", "is", null)
    .where("owner.deletedAt", "is", null)
    .select("made.id")
    .orderBy("made.id")
    .limit(21)
    .execute();
  if (rows.length === 0) return [pass("accounts", "no external id is the mail address of another account")];
  const shown = rows.slice(0, 20).map(({ id }) => id);
  const more = rows.length > shown.length ? " and more" : "";
  const what = `the external id is the mail address of another account: ${shown.join(", ")}${more}`;
  return [warn("accounts", what, "remove these accounts if no one signs in to them: prism user delete <id>")];
}

/**
 * API keys of disabled accounts, which are refused, of accounts that version 0.1 deleted, which still
 * work, and those that may do less than they were made for.
 */
export async function checkKeys(db: ReadDb, config: Config): Promise<Finding[]> {
  const restricted = await restrictedKeys(db, config);
  const rows = await db
    .selectFrom("api_keys as k")
    .innerJoin("projects as p", "p.id", "k.projectId")
    .innerJoin("users as u", "u.id", "k.createdBy")
    .where("k.revokedAt", "is", null)
    .where("p.deletedAt", "is", null)
    .where((e) => e.or([e("u.deletedAt", "is not", null), e("u.status", "=", "disabled")]))
    .select(["k.id", "p.slug", "u.deletedAt", "u.username"])
    .orderBy("k.id")
    .limit(SHOWN_MEMBERS + 1)
    .execute();
  if (rows.length === 0 && restricted.length > 0) return restricted;
  if (rows.length === 0) return [pass("keys", "no API key belongs to an account that is deleted or disabled")];
  const nameOf = ({ id, slug, deletedAt, username }: (typeof rows)[0]): string =>
    `${id} of ${slug} (${deletedAt === null ? `${username ?? "an account"} is disabled: refused` : "account deleted: works"})`;
  const shown = rows.slice(0, SHOWN_MEMBERS).map(nameOf).join(", ");
  const more = rows.length > SHOWN_MEMBERS ? " and more" : "";
  const what = `API keys of accounts that are deleted or disabled: ${shown}${more}`;
  const ended = warn("keys", what, "make new keys for programs that use them, and end these: prism key revoke <id>");
  return [ended, ...restricted];
}

/** In production: administrators of `prism seed`. An incident that reaches no one pages them. */
export async function checkSamples(db: ReadDb, { env }: Config): Promise<Finding[]> {
  if (env !== "production") return [];
  const rows = await db
    .selectFrom("users")
    .innerJoin("user_roles", "user_roles.userId", "users.id")
    .innerJoin("roles", "roles.id", "user_roles.roleId")
    .select("users.username")
    .distinct()
    .where("roles.name", "=", "Admin")
    .where("users.status", "=", "active")
    .where("users.deletedAt", "is", null)
    .where("users.email", "like", `%@${SAMPLE_DOMAIN}`)
    .execute();
  if (rows.length === 0) return [];
  const who = rows.map(({ username }) => username).join(", ");
  const what = `administrators of the sample data: ${who}; an incident that reaches no one pages their addresses, which no one reads`;
  return [warn("accounts", what, "prism user disable <name>, or prism user delete <name>")];
}

/** A key does no more than the user who made it. */
async function restrictedKeys(db: ReadDb, config: Config): Promise<Finding[]> {
  const rows = await db
    .selectFrom("api_keys as k")
    .innerJoin("projects as p", "p.id", "k.projectId")
    .innerJoin("users as u", "u.id", "k.createdBy")
    .where("k.revokedAt", "is", null)
    .where("p.deletedAt", "is", null)
    .where("u.deletedAt", "is", null)
    .where("u.status", "!=", "disabled")
    .select(["k.id", "k.scopes", "k.projectId", "p.slug", "u.id as userId", "u.username"])
    .orderBy("k.id")
    .execute();
  const defaultId = await db.selectFrom("projects").select("id").where("slug", "=", "default").executeTakeFirst();
  const of = { defaultId: defaultId?.id ?? "", isDefaultOpen: await isDefaultOpen(db, config) };
  const makers = new Map<string, KeyMaker>();
  const lines: string[] = [];
  for (const { id, scopes, projectId, slug, userId, username } of rows) {
    const maker = makers.get(userId) ?? (await makerOf(userId, db));
    makers.set(userId, maker);
    const lacking = (JSON.parse(scopes) as KeyScope[]).filter((scope) => !mayUseScope(maker, scope, projectId, of));
    if (lacking.length > 0) lines.push(`${id} of ${slug} (${username ?? userId} may not ${lacking.join(", ")})`);
  }
  if (lines.length === 0) return [];
  const more = lines.length > SHOWN_MEMBERS ? " and more" : "";
  const what = `API keys do no more than the users who made them: ${lines.slice(0, SHOWN_MEMBERS).join(", ")}${more}`;
  return [warn("keys", what, "rotate them as an owner of the project, or give these users the right")];
}

async function makerOf(userId: string, db: ReadDb): Promise<KeyMaker> {
  const members = db.selectFrom("project_members").select(["projectId", "role"]).where("userId", "=", userId);
  return {
    permissions: new Set(permissionsOf(await heldRoles(userId, db))),
    memberships: new Map((await members.execute()).map(({ projectId, role }) => [projectId, role])),
  };
}

async function isDefaultOpen(db: ReadDb, { projects }: Config): Promise<boolean> {
  return projects.defaultOpen ?? (await readSetting(db, DEFAULT_OPEN_SETTING)) === 1;
}

/** The readers of the default project. */
export async function checkRights(db: ReadDb, config: Config): Promise<Finding[]> {
  const { auth, projects } = config;
  const isOpen = await isDefaultOpen(db, config);
  const isForAll = isOpen && auth.registration === "open";
  const open = "every account reads the project default, and registration is open: so does everyone who can reach it";
  const kept = "every account reads the project default, as before the upgrade: projects.defaultOpen is not set";
  if (isForAll) return [warn("rights", open, "set projects.defaultOpen to false, and add members")];
  if (isOpen && projects.defaultOpen === undefined)
    return [warn("rights", kept, "set projects.defaultOpen to false and add members, or to true to keep it")];
  const reads = isOpen ? "every account reads" : "members and holders of events:read read";
  return [pass("rights", `${reads} the project default`)];
}

const BYTES = "stored bytes";
const SHOWN_PROJECTS = 20;

/** Projects at their storage limit, as of the server's last count. */
export async function checkStored(db: ReadDb, { limits }: Config): Promise<Finding[]> {
  const { rows } = await sql<{ slug: string; bytes: number; most: number }>`
    select * from (
      select p.slug, ifnull(s.bytes, 0) + ifnull(t.bytes, 0) as bytes, ifnull(p.storageBytes, case
        when p.slug <> 'default' and p.ownerId is not null and not exists (
          select 1 from user_roles u join roles r on r.id = u.roleId
          where u.userId = p.ownerId and r.permissions like '%"projects:all"%')
        then ${limits.storageBytesPerProject} end) as most
      from projects p left join project_storage s on s.projectId = p.id left join project_texts t on t.projectId = p.id
      where p.deletedAt is null)
    where bytes >= most order by bytes desc`.execute(db);
  if (rows.length === 0) return [pass(BYTES, "no project has reached its storage limit")];
  const shown = rows
    .slice(0, SHOWN_PROJECTS)
    .map(({ slug, bytes, most }) => `${slug} (${bytesText(bytes)} of ${bytesText(most)})`);
  const more = rows.length > shown.length ? [`and ${rows.length - shown.length} more`] : [];
  const what = `events are refused with 507 in projects at their storage limit: ${[...shown, ...more].join(", ")}`;
  return [warn(BYTES, what, "prism projects storage <project> --limit <bytes>, or limits.storageBytesPerProject")];
}

/** Whether the keys of another token issuer can be fetched; nothing if none is configured. */
export async function checkIssuer({ auth: { trusted }, proxy }: Config): Promise<Finding[]> {
  const { jwksUrl, algorithms } = trusted;
  if (jwksUrl === undefined) return [];
  try {
    const keys = usableKeys(await fetchKeySet(jwksUrl, proxy));
    const kinds = [...new Set(keys.map(({ kind }) => kind))].join(", ");
    if (keys.length > 0) return [pass("issuer", `${jwksUrl} publishes ${keys.length} keys: ${kinds}`)];
    return [
      fail("issuer", `${jwksUrl} publishes no key that signatures can be checked with`, HINT + algorithms.join(", ")),
    ];
  } catch (error) {
    return [
      fail(
        "issuer",
        `the keys at ${jwksUrl} cannot be fetched: ${connectionReason(error)}`,
        "check auth.trusted.jwksUrl",
      ),
    ];
  }
}

const HINT = "its keys must be for one of auth.trusted.algorithms: ";

const PAGE_LIMIT_MS = 3000;

async function statusOf(url: URL, settings: Config["proxy"]): Promise<number> {
  const proxy = outgoingProxyOf(settings);
  if (!proxy || !isProxied(proxy, targetOf(url)))
    return (await fetch(url, { signal: AbortSignal.timeout(PAGE_LIMIT_MS) })).status;
  return (await requestThrough(proxy, url, { method: "GET", maxBytes: 0, timeoutMs: PAGE_LIMIT_MS })).status;
}

/** Whether the external pages of account links are served; nothing for Prism's own. */
export async function checkAccountPages({ accountUrl, proxy }: Config): Promise<Finding[]> {
  if (accountUrl === undefined) return [];
  const url = `${accountUrl.replace(/\/+$/, "")}/reset-password`;
  const remedy = "serve it, or unset accountUrl: Prism has its own pages";
  try {
    const status = await statusOf(new URL(url), proxy);
    if (status >= 400) return [warn("account pages", `mails link to ${url}, which answers ${status}`, remedy)];
    return [pass("account pages", `${url} is served`)];
  } catch (error) {
    return [warn("account pages", `mails link to ${url}, which cannot be reached: ${connectionReason(error)}`, remedy)];
  }
}

/** Passkeys of another host, which no longer work; nothing without passkeys. */
export async function checkPasskeys(db: ReadDb, config: Pick<Config, "publicUrl">): Promise<Finding[]> {
  const { rpId, reason } = relyingPartyOf(config);
  const rows = await db
    .selectFrom("passkeys")
    .select(["rpId", (e) => e.fn.count<number>("userId").distinct().as("people")])
    .groupBy("rpId")
    .orderBy("rpId")
    .execute();
  if (rows.length === 0) return [];
  const others = rows.filter((row) => row.rpId !== rpId);
  if (others.length === 0) return [pass("passkeys", `all passkeys belong to ${rpId}`)];
  const shown = others.map((row) => `${row.rpId} (${countText(row.people, "person", "people")})`).join(", ");
  const what = `passkeys of another host than that of publicUrl do not work: ${shown}${reason === null ? "" : `. ${reason}`}`;
  const fix =
    "set publicUrl back, or have these people sign in with a password and a recovery code, and add passkeys again";
  return [warn("passkeys", what, fix)];
}

export const STORED: StoredFindings = {
  database: {
    keys: ({ db, config }) => checkKeys(db, config),
    accounts: async ({ db, config }) => [...(await checkAccounts(db)), ...(await checkSamples(db, config))],
    rights: async ({ db, config }) => [...(await checkRights(db, config)), ...(await signInFindings(config, db))],
    passkeys: ({ db, config }) => checkPasskeys(db, config),
    "stored bytes": ({ db, config }) => checkStored(db, config),
  },
  services: {
    issuer: ({ config }) => checkIssuer(config),
    "account pages": ({ config }) => checkAccountPages(config),
  },
};
