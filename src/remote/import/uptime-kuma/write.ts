import { durationText } from "../../../http/api/file-form.ts";
import { NO_SECOND_FACTOR, OldAccounts } from "../accounts.ts";
import { free, ImportedFiles } from "../files.ts";
import { OldPeople } from "../old-people.ts";
import { anyOf, silencesOf, type Targets } from "./maintenance.ts";
import { notificationsOf } from "./notifications.ts";
import type { OldKuma } from "./read.ts";

type Monitor = OldKuma["monitor"][number];
type Step = Readonly<Record<string, unknown>>;

/** The shortest that a heartbeat has. */
const MIN_S = 60;
const NOBODY = "No notification";
const TOKEN = /^[A-Za-z0-9_-]{10,64}$/;

export function writeKuma(old: OldKuma, { project }: { readonly project: string }): ImportedFiles {
  const files = new ImportedFiles("uptime-kuma");
  const accounts = new OldAccounts(files);
  const people = new OldPeople(files, accounts.names);
  const members: Record<string, string> = {};
  for (const { username, password, active, timezone, twofa_status: hasCodes } of old.user) {
    const zone = timezone && timezone !== "auto" ? timezone : undefined;
    const name = active ? accounts.add({ name: username, passwordHash: password ?? "", timezone: zone }) : undefined;
    if (name !== undefined && hasCodes) files.note("account", username, "to do", NO_SECOND_FACTOR);
    if (name !== undefined) members[name] = "owner";
    else if (!active) files.note("account", username, "not taken", "it is switched off");
  }
  accounts.write();
  const { channels, steps, names } = notificationsOf(old.notification, { files, people, project });
  const policies = new Policies(steps, names);
  const heartbeatNames = new Map<number, string>();
  const heartbeats = heartbeatsOf(old, { files, project, heartbeatNames, policies });
  const others = old.monitor.filter(({ type }) => type !== "push" && type !== "group");
  const targets = targetsOf(old, heartbeatNames);
  const routes = routesOf(old, policies, targets);
  const initial = policies.of(old.notification.filter(({ is_default }) => is_default).map(({ id }) => id));
  const page = pageOf(old, heartbeatNames, files);
  people.write();
  for (const name of policies.people) members[name] ??= "viewer";
  if (others.length > 0) tellReceiver(others.length, files);
  const slug = project;
  files.add(files.fileFor(project), {
    projects: [
      {
        ...{ slug, name: "Uptime Kuma" },
        ...(Object.keys(members).length > 0 && { members }),
        ...(channels.length > 0 && { channels }),
        policies: policies.documents(),
        routes: { route: { ...(initial !== NOBODY && { policy: initial }), ...EACH_ALONE, routes } },
        ...(heartbeats.length > 0 && { heartbeats }),
        ...(others.length > 0 && { receivers: [{ name: "Uptime Kuma", preset: "uptime-kuma" }] }),
        ...(page && { statusPage: page }),
      },
    ],
  });
  const silences = silencesOf(old, targets, files);
  if (silences.length > 0) files.add("runtime", { projects: [{ slug, runtime: { silences } }] });
  addTests(old, files, { policies, targets, project });
  files.count("heartbeats", heartbeats.length);
  return files;
}

/** Each monitor notifies by itself, at once, and again only where it said so. */
const EACH_ALONE = { groupBy: ["..."], groupWait: "0s", repeat: "365d" };

/** A policy for each set of notifications. */
class Policies {
  readonly #steps: ReadonlyMap<number, readonly Step[]>;
  readonly #names: ReadonlyMap<number, string>;
  readonly #made = new Map<string, { readonly name: string; readonly steps: readonly object[] }>();
  readonly #taken = new Set<string>([NOBODY, "default"]);
  readonly people = new Set<string>();

  constructor(steps: ReadonlyMap<number, readonly Step[]>, names: ReadonlyMap<number, string>) {
    this.#steps = steps;
    this.#names = names;
  }

  /** @returns the name of the policy */
  of(notifications: readonly number[]): string {
    const ids = [...new Set(notifications)].filter((id) => this.#steps.has(id)).sort((a, b) => a - b);
    const key = ids.join();
    const known = this.#made.get(key);
    if (known) return known.name;
    const wanted = ids
      .map((id) => this.#names.get(id) ?? "")
      .join(", ")
      .slice(0, 200);
    const name = ids.length === 0 ? NOBODY : free(wanted, this.#taken);
    const steps = ids.flatMap((id) => this.#steps.get(id) ?? []);
    for (const { users } of steps) for (const user of (users ?? []) as readonly string[]) this.people.add(user);
    this.#made.set(key, { name, steps });
    return name;
  }

  documents(): readonly object[] {
    const made = [...this.#made.values()];
    return made.map(({ name, steps }) =>
      name === NOBODY ? { name, opensIncidents: false, steps: [] } : { name, steps },
    );
  }
}

function notificationsOfMonitor({ monitor_notification: rows }: OldKuma, id: number): readonly number[] {
  return rows.filter(({ monitor_id }) => monitor_id === id).map(({ notification_id }) => notification_id);
}

function heartbeatsOf(
  old: OldKuma,
  {
    files,
    project,
    heartbeatNames,
    policies,
  }: {
    readonly files: ImportedFiles;
    readonly project: string;
    readonly heartbeatNames: Map<number, string>;
    readonly policies: Policies;
  },
): readonly object[] {
  const taken = new Set<string>();
  return old.monitor.flatMap((monitor) => {
    const { id, type, active, upside_down, push_token: token, interval, description } = monitor;
    const given = shownName(monitor);
    if (type !== "push") return [];
    const why = active ? (upside_down ? "it is upside down: down means up" : "") : "it is paused";
    if (why !== "" || !token || !TOKEN.test(token)) {
      const text = why || "its token has another form than 10 to 64 letters, digits, - and _";
      files.note("push monitor", given, "not taken", `${text}; make a heartbeat by prism heartbeats create`);
      return [];
    }
    const name = free(given, taken);
    heartbeatNames.set(id, name);
    if (interval < MIN_S)
      files.note("push monitor", given, "changed", `it is late after ${MIN_S} s, not ${interval} s`);
    const grace = Math.max(MIN_S, (monitor.maxretries ?? 0) * (monitor.retry_interval || interval));
    const tags = tagsOf(old, monitor);
    const parent = old.monitor.find((each) => each.id === monitor.parent);
    const labels = {
      ...Object.fromEntries(tags.flatMap(([tag, value]) => (value === "" || !isLabel(tag) ? [] : [[tag, value]]))),
      ...(parent && { group: shownName(parent) }),
    };
    return [
      {
        ...{ name, ping: files.secret(token, project, name, "ping") },
        ...(description && { description: description.slice(0, 2000) }),
        ...{ timeout: durationText(Math.max(interval, MIN_S) * 1000), grace: durationText(grace * 1000) },
        ...(tags.length > 0 && { tags: [...new Set(tags.map(([tag, value]) => wordOf(tag, value)))].slice(0, 20) }),
        ...(Object.keys(labels).length > 0 && { labels }),
        channels: [policies.of(notificationsOfMonitor(old, id))],
      },
    ];
  });
}

function shownName({ id, name }: Monitor): string {
  return (name || `Monitor ${id}`).slice(0, 90);
}

function tagsOf({ monitor_tag, tag }: OldKuma, { id }: Monitor): readonly (readonly [string, string])[] {
  const rows = monitor_tag.filter(({ monitor_id }) => monitor_id === id);
  return rows.flatMap(({ tag_id, value }) => {
    const name = tag.find((each) => each.id === tag_id)?.name;
    return name === undefined ? [] : [[name, (value ?? "").slice(0, 1000)] as const];
  });
}

const isLabel = (name: string) => /^[A-Za-z_][A-Za-z0-9_]{0,99}$/.test(name);

function wordOf(tag: string, value: string): string {
  return (
    (value === "" ? tag : `${tag}:${value}`)
      .trim()
      .replace(/[\s,]+/g, "-")
      .slice(0, 50) || "tag"
  );
}

function targetsOf({ monitor }: OldKuma, heartbeats: ReadonlyMap<number, string>): Targets {
  return (ids) => {
    const own = ids.flatMap((id) => heartbeats.get(id) ?? []);
    const rest = monitor.filter(({ id, type }) => ids.includes(id) && type !== "push");
    const names = rest.flatMap(({ name }) => (name ? [name] : []));
    return [["heartbeat", own] as const, ["monitor", names] as const].filter(([, each]) => each.length > 0);
  };
}

/** Monitors by their policy and by when they notify again. */
function routeGroups(old: OldKuma, policies: Policies) {
  const groups = new Map<string, { readonly policy: string; readonly repeatS: number; readonly ids: number[] }>();
  for (const { id, interval, resend_interval: beats } of old.monitor) {
    const policy = policies.of(notificationsOfMonitor(old, id));
    const repeatS = Math.max((beats ?? 0) * interval, beats ? MIN_S : 0);
    const key = JSON.stringify([policy, repeatS]);
    const group = groups.get(key) ?? { policy, repeatS, ids: [] };
    group.ids.push(id);
    groups.set(key, group);
  }
  return [...groups.values()];
}

function routesOf(old: OldKuma, policies: Policies, targets: Targets): readonly object[] {
  return routeGroups(old, policies).flatMap(({ policy, repeatS, ids }) =>
    targets(ids)
      .flatMap(([label, names]) => anyOf(label, names))
      .map((matcher) => ({
        ...{ matchers: [matcher], policy },
        ...(repeatS > 0 && { repeat: durationText(repeatS * 1000) }),
      })),
  );
}

/** What each set of notifications gets. */
function addTests(
  old: OldKuma,
  files: ImportedFiles,
  { policies, targets, project }: { readonly policies: Policies; readonly targets: Targets; readonly project: string },
): void {
  for (const { policy, ids } of routeGroups(old, policies))
    for (const [label, [name = ""]] of targets(ids.slice(0, 1)))
      files.test({
        ...{ name: `${name} goes to ${policy}`.slice(0, 200), project, alert: { [label]: name, severity: "critical" } },
        expect: { policy },
      });
}

/** A project has one page. */
function pageOf(old: OldKuma, heartbeats: ReadonlyMap<number, string>, files: ImportedFiles): object | undefined {
  const [page, ...others] = [...old.status_page].sort((a, b) => Number(b.published) - Number(a.published));
  for (const { title } of others)
    files.note("status page", title, "not taken", "a project has one page; make another project for it");
  if (page === undefined) return undefined;
  const { id, title, description, published, slug, password } = page;
  files.note("status page", title, "changed", `its address is no longer /status/${slug}`);
  if (password) files.note("status page", title, "to do", "it has a password: pages here are public");
  const groups = old.group.filter(({ status_page_id, active }) => status_page_id === id && active).sort(byWeight);
  const note = (text: string) => files.note("status page", title, "not taken", text);
  if (groups.length > MAX_GROUPS) note(`it has ${groups.length} groups; only the first ${MAX_GROUPS} were taken`);
  return {
    ...{ enabled: published && !password, title: title.slice(0, 100) || "Status" },
    ...(description && { description: description.slice(0, 1000) }),
    groups: groups.slice(0, MAX_GROUPS).map(({ id: group, name }) => {
      const components = componentsOf(old, group, heartbeats, note);
      if (components.length > MAX_COMPONENTS)
        note(`its group ${name} has ${components.length} monitors; only the first ${MAX_COMPONENTS} were taken`);
      return { name: (name ?? "").slice(0, 100), components: components.slice(0, MAX_COMPONENTS) };
    }),
  };
}

const MAX_GROUPS = 20;
const MAX_COMPONENTS = 50;
const byWeight = (a: { readonly weight?: number | null | undefined }, b: typeof a) => (a.weight ?? 0) - (b.weight ?? 0);

function componentsOf(
  { monitor, monitor_group }: OldKuma,
  group: number,
  heartbeats: ReadonlyMap<number, string>,
  note: (text: string) => void,
) {
  const rows = monitor_group.filter(({ group_id }) => group_id === group).sort(byWeight);
  return rows.flatMap(({ monitor_id }) => {
    const found = monitor.find(({ id }) => id === monitor_id);
    if (!found) return [];
    const heartbeat = heartbeats.get(monitor_id);
    if (found.type === "push" && heartbeat === undefined) {
      // Nothing reports it, and it would be shown as working.
      note(`its push monitor ${shownName(found)} was not taken, and is not on the page`);
      return [];
    }
    const what =
      heartbeat === undefined ? { matchers: anyOf("monitor", [found.name ?? ""]) } : { heartbeats: [heartbeat] };
    return [{ name: shownName(found), sources: [{ ...what, effect: "outage" }] }];
  });
}

function tellReceiver(monitors: number, files: ImportedFiles): void {
  const webhook = { type: "webhook", webhookContentType: "json", webhookURL: "<URL that prism apply prints>" };
  const text =
    `they stay in Uptime Kuma, which sends to Prism: add there a notification ${JSON.stringify(webhook)}, switch on ` +
    `Default enabled and Apply on all existing monitors, and remove the others, which would notify a second time`;
  files.note("monitors", String(monitors), "to do", text);
}
