import { isTimezone, MINUTE_MS } from "../../../core/time/clock.ts";
import { durationText } from "../../../http/api/file-form.ts";
import { NO_SECOND_FACTOR, OldAccounts } from "../accounts.ts";
import { free, ImportedFiles, slugOf } from "../files.ts";
import { OldPeople } from "../old-people.ts";
import { zoneOf } from "../windows.ts";
import type { HealthchecksByApi } from "./api.ts";
import { integrationsOf, membersOfGroup, type OldIntegration } from "./channels.ts";
import type { OldHealthchecks } from "./read.ts";

type Project = OldHealthchecks["accounts.project"][number];
type Check = OldHealthchecks["api.check"][number];

const ROLES: Readonly<Record<string, string>> = { r: "viewer", w: "editor", m: "owner" };
const KEY = /^[A-Za-z0-9_-]{10,64}$/;

/** What the API shows of a project. */
export function writeHealthchecksOfApi({ old, unshown, missing }: HealthchecksByApi): ImportedFiles {
  const files = writeHealthchecks(old);
  for (const { what, status } of missing)
    files.note("request", what, "not taken", `was answered with ${status}: use a full key`);
  for (const { name, kind, checks } of unshown) {
    const text = `${kind}: the API does not show where it leads: make a channel and a policy for its checks`;
    files.note("integration", name, "not taken", `${text}${checks.length > 0 ? ` ${checks.join(", ")}` : ""}`);
  }
  files.note("accounts", "all", "not taken", "the API does not show them, nor the ping key: prism user create");
  return files;
}

export function writeHealthchecks(old: OldHealthchecks): ImportedFiles {
  const files = new ImportedFiles("healthchecks");
  const accounts = new OldAccounts(files);
  const people = new OldPeople(files, accounts.names);
  const byKey = new Map<string, string>();
  const byAddress = new Map<string, string>();
  for (const { pk, username, email, password, is_active: isActive } of old["auth.user"]) {
    const about = email || username;
    if (!isActive) {
      files.note("account", about, "not taken", "it is switched off");
      continue;
    }
    // Healthchecks signs in by address; its usernames are random. `!…` is no password.
    const hash = password.startsWith("!") ? "" : password;
    const profile = old["accounts.profile"].find(({ user }) => String(user) === pk);
    const timezone = profile?.tz ?? undefined;
    const name = accounts.add({
      ...{ name: about, passwordHash: hash },
      timezone: isTimezone(timezone ?? "") ? timezone : undefined,
    });
    if (name === undefined) continue;
    if (profile?.totp || old["accounts.credential"].some((each) => String(each.user) === pk))
      files.note("account", about, "to do", NO_SECOND_FACTOR);
    byKey.set(pk, name);
    byAddress.set(email.toLowerCase(), name);
  }
  const slugs = new Set<string>();
  for (const project of old["accounts.project"]) {
    const slug = free(slugOf(project.name || "healthchecks"), slugs);
    const userOf = (address: string) => byAddress.get(address.trim().toLowerCase()) ?? people.add(address);
    const document = projectOf(old, project, { files, slug, byKey, userOf });
    files.add(files.fileFor(slug), { projects: [document] });
    files.count("projects");
    const { ping_key: key, api_key: api } = project;
    if (key && KEY.test(key)) accounts.token({ kind: "pingKey", project: slug, token: key });
    else if (key) files.note("ping key", slug, "not taken", "it has another form; make one by prism heartbeats key");
    if (api) files.note("API keys", slug, "not taken", "make one by prism apikey create, and give it to its clients");
  }
  if (old["accounts.project"].some(({ badge_key: key }) => key) || old["api.check"].some(({ badge_key: key }) => key))
    files.note("badges", "all", "not taken", "pages that show one need its new address");
  accounts.write();
  people.write();
  return files;
}

function projectOf(
  old: OldHealthchecks,
  project: Project,
  {
    files,
    slug,
    byKey,
    userOf,
  }: {
    readonly files: ImportedFiles;
    readonly slug: string;
    readonly byKey: ReadonlyMap<string, string>;
    readonly userOf: (address: string) => string | undefined;
  },
): object {
  const isOwn = (each: { readonly project: string | number }) => String(each.project) === project.pk;
  const members: Record<string, string> = {};
  const users = new Set<string>();
  const all = old["api.channel"].filter(isOwn);
  const integrations = integrationsOf(all, {
    ...{ files, project: slug },
    userOf(address) {
      const user = userOf(address);
      if (user !== undefined) users.add(user);
      return user;
    },
  });
  for (const user of users) members[user] = "viewer";
  for (const { user, role } of old["accounts.member"].filter(isOwn)) {
    const name = byKey.get(String(user));
    if (name !== undefined) members[name] = ROLES[role] ?? "viewer";
  }
  const owner = byKey.get(String(project.owner));
  if (owner !== undefined) members[owner] = "owner";
  const policiesOf = (check: string) => {
    const own = all.filter(({ checks }) => checks.some((key) => String(key) === check));
    const keys = own.flatMap((each) => (each.kind === "group" ? membersOfGroup(each, all) : [each.pk]));
    return [...new Set(keys)].flatMap((key) => integrations.get(key)?.policy ?? []);
  };
  const names = new Set<string>();
  const checks = old["api.check"].filter(isOwn);
  const paths = slugsOf(checks, files);
  const heartbeats = checks.map((check) => {
    const given = { files, project: slug, names, path: paths.get(check.pk) ?? "" };
    const channels = policiesOf(check.pk);
    const heartbeat = heartbeatOf(check, channels, given);
    const [policy] = channels;
    // With several the alert opens an incident of each.
    if (policy !== undefined && channels.length === 1)
      files.test({
        ...{ name: `${heartbeat.name} goes to ${policy}`, project: slug },
        alert: { alertname: "HeartbeatDown", heartbeat: heartbeat.name, slug: given.path, channels: policy },
        expect: { policy },
      });
    return heartbeat;
  });
  files.count("heartbeats", heartbeats.length);
  const made: readonly OldIntegration[] = [...integrations.values()];
  const channels = made.flatMap(({ channel }) => channel ?? []);
  const policies = made.map(({ policy, steps }) => ({ name: policy, steps }));
  return {
    ...{ slug, name: (project.name || slug).slice(0, 100) },
    ...(Object.keys(members).length > 0 && { members }),
    ...(channels.length > 0 && { channels }),
    ...(policies.length > 0 && { policies }),
    ...(heartbeats.length > 0 && { heartbeats }),
  };
}

function heartbeatOf(
  check: Check,
  channels: readonly string[],
  {
    files,
    project,
    names,
    path,
  }: {
    readonly files: ImportedFiles;
    readonly project: string;
    readonly names: Set<string>;
    /** Its slug. */
    readonly path: string;
  },
): Readonly<Record<string, unknown>> & { readonly name: string } {
  const { code, kind, slug, desc, tz, methods } = check;
  const name = free((check.name || slug || code).slice(0, 90), names);
  const note = (outcome: "not taken" | "changed" | "to do", text: string) => files.note("check", name, outcome, text);
  if (channels.length === 0) note("changed", "it has no integration: its alert goes to the project's default policy");
  if (check.status === "paused") note("to do", "it is paused: pause it by prism heartbeats pause");
  if (kind !== "simple" && !isTimezone(tz || "UTC")) note("changed", "its time zone is not known here: UTC is taken");
  const timezone = zoneOf(tz);
  const tags = check.tags.split(/[\s,]+/).filter(Boolean);
  if (tags.length > 20) note("changed", "it has more than 20 tags");
  const filters = {
    ...(check.filter_subject && { subject: true }),
    ...(check.filter_body && { body: true }),
    ...(check.filter_http_body && { httpBody: true }),
    ...(check.filter_default_fail && { defaultFail: true }),
    ...(check.start_kw && { startKeywords: check.start_kw }),
    ...(check.success_kw && { successKeywords: check.success_kw }),
    ...(check.failure_kw && { failureKeywords: check.failure_kw }),
  };
  return {
    name,
    ...(path !== "" && { slug: path }),
    ping: files.secret(code, project, name, "ping"),
    ...(tags.length > 0 && { tags: [...new Set(tags.map((tag) => tag.slice(0, 50)))].slice(0, 20) }),
    ...(desc && { description: desc.slice(0, 2000) }),
    ...(kind === "simple"
      ? { timeout: spanOf("timeout", check.timeout, note) }
      : { kind, schedule: kind === "cron" ? cronOf(check.schedule) : check.schedule, timezone }),
    grace: spanOf("grace", check.grace, note),
    ...(methods === "POST" && { methods }),
    ...(check.manual_resume && { manualResume: true }),
    ...(Object.keys(filters).length > 0 && { filters }),
    ...(channels.length > 0 && { channels }),
  };
}

/** Slugs of checks: two of a project may have the same in Healthchecks, and some have none. */
function slugsOf(checks: readonly Check[], files: ImportedFiles): ReadonlyMap<string, string> {
  const taken = new Set<string>();
  const own = new Map<string, string>();
  for (const { pk, slug, name } of checks)
    if (/^[a-z0-9_-]{1,100}$/.test(slug) && !taken.has(slug)) own.set(pk, free(slug, taken));
    else if (slug !== "")
      files.note(
        "check",
        name || slug,
        "changed",
        `another one has its slug ${slug}: give its job the URL with the UUID`,
      );
  return new Map(checks.map(({ pk, name }) => [pk, own.get(pk) ?? free(slugOf(name || "check"), taken)]));
}

/** `10/20` of cronsim is from 10 on. */
function cronOf(schedule: string): string {
  const [minute = "", ...rest] = schedule.trim().split(/\s+/);
  return [minute.replace(/(^|,)(\d+)\/(\d+)/g, "$1$2-59/$3"), ...rest].join(" ");
}

/** Django's `1 02:03:04.5`, or ISO 8601 as its dumps have it: `P1DT02H03M04S`. */
function spanOf(member: string, text: string, note: (outcome: "changed", text: string) => void): string {
  const [, isoDays = 0, isoHours = 0, isoMinutes = 0, isoSeconds = 0] =
    /^P(\d+)D(?:T(\d+)H(\d+)M(\d+)(?:\.\d+)?S)?$/.exec(text) ?? [];
  const [, days = isoDays, hours = isoHours, minutes = isoMinutes, seconds = isoSeconds] =
    /^(?:(\d+) )?(\d+):(\d+):(\d+)/.exec(text) ?? [];
  const ms = (((Number(days) * 24 + Number(hours)) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000;
  if (!(ms >= MINUTE_MS)) note("changed", `its ${member} is ${text}: a minute is taken, the least here`);
  return durationText(Math.max(ms, MINUTE_MS));
}
