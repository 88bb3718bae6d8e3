import { cleanText } from "../../../core/text/clean-text.ts";
import { type EpochMs, isTimezone, toRfc3339, zoneOffsetMs } from "../../../core/time/clock.ts";
import { durationText } from "../../../http/api/file-form.ts";
import { free, ImportedFiles, slugOf } from "../files.ts";
import type { ApiImportOptions } from "../http-source.ts";
import { pagesAt, testTimes, type WrittenChain, writeChain } from "./chains.ts";
import {
  type GrafanaOnCall,
  nextChange,
  type OldUser,
  type OldWebhook,
  type OnCallIntegration,
  type OnCallRoute,
} from "./read.ts";
import { heartbeatToken, labelsOf, matcher, presetOf, tokenOf } from "./routes.ts";
import { type WrittenSchedule, writeSchedule } from "./schedules.ts";

export interface OnCallOptions extends Omit<ApiImportOptions, "untilMs"> {
  /** Names of schedules whose shifts of UTC get the zone of the schedule. */
  readonly localTimes: readonly string[];
}

type Role = "owner" | "editor" | "viewer";
const ROLES: Readonly<Record<string, Role>> = { admin: "owner", editor: "editor" };
/** Event types of a project's webhook by the trigger of one of OnCall. */
const TRIGGERS: Readonly<Record<string, string>> = {
  "alert group created": "incident.opened",
  ...{ acknowledge: "incident.acknowledged", resolve: "incident.resolved", "status change": "incident.*" },
};
const NOBODY = "No escalation";

interface Project {
  readonly slug: string;
  readonly name: string;
  readonly team: string | null;
  readonly members: Map<string, Role>;
  readonly oncall: object[];
  readonly policies: Map<string, WrittenChain>;
  readonly channels: { readonly name: string }[];
  readonly intervals: Map<string, object>;
  readonly routes: object[];
  readonly receivers: object[];
  readonly heartbeats: object[];
  readonly runtime: { overrides: object[]; swaps: object[]; silences: object[] };
  readonly comments: string[];
  readonly names: Map<string, Set<string>>;
}

/** OnCall as configuration files of Prism. */
export function writeOnCall(old: GrafanaOnCall, options: OnCallOptions): ImportedFiles {
  return new Writer(old, options).write();
}

class Writer {
  readonly #files = new ImportedFiles("oncall");
  readonly #old: GrafanaOnCall;
  readonly #options: OnCallOptions;
  readonly #users: ReadonlyMap<string, OldUser>;
  readonly #names = new Map<string, string>();
  readonly #projects = new Map<string | null, Project>();
  readonly #schedules = new Map<string, { written: WrittenSchedule; name: string; project: Project; zone: string }>();
  readonly #tests: object[] = [];

  constructor(old: GrafanaOnCall, options: OnCallOptions) {
    this.#old = old;
    this.#options = options;
    this.#users = new Map(old.users.map((user) => [user.id, user]));
  }

  write(): ImportedFiles {
    const files = this.#files;
    const { missing, users, integrations } = this.#old;
    for (const { list, status } of missing)
      files.note("list", list, "not taken", `OnCall answers ${status}: give a token of an administrator`);
    const taken = new Set<string>();
    for (const { id, username } of users) this.#names.set(id, free(usernameOf(username), taken));
    this.#addProjects();
    this.#writeSchedules();
    for (const chain of this.#old.chains) {
      const project = this.#projects.get(chain.team_id);
      if (project) this.#policy(project, chain.id);
    }
    for (const integration of integrations) this.#writeIntegration(integration);
    this.#writeWebhooks();
    this.#addFiles();
    return files;
  }

  #addProjects(): void {
    const { teams, users } = this.#old;
    const { teams: only, project: rest } = this.#options;
    const slugs = new Set<string>(["default"]);
    const add = (team: string | null, name: string, slug: string) => {
      const of = (): object[] => [];
      this.#projects.set(team, {
        ...{ slug: free(slug, slugs), name, team, members: new Map(), oncall: of(), policies: new Map() },
        ...{ channels: [], intervals: new Map(), routes: of(), receivers: of(), heartbeats: of(), comments: [] },
        ...{ runtime: { overrides: of(), swaps: of(), silences: of() } },
        names: new Map([["policy", new Set(["default", NOBODY])]]),
      });
    };
    if (rest === "default") slugs.delete("default");
    if (only === null) add(null, rest, rest);
    for (const { id, name } of teams) if (only === null || only.includes(name)) add(id, name, slugOf(name));
    for (const name of only ?? [])
      if (!teams.some((team) => team.name === name))
        this.#files.note("team", name, "not taken", "OnCall has no such team");
    for (const { id, teams: own } of users) {
      const projects = (own ?? []).flatMap((team) => this.#projects.get(team) ?? []);
      if (own?.length) for (const project of projects) this.#member(project, id);
      else {
        const project = this.#projects.get(null);
        if (project) this.#member(project, id);
      }
    }
  }

  /** The name of a person, who is a member from now on. */
  #member(project: Project, id: string): string | undefined {
    const [user, name] = [this.#users.get(id), this.#names.get(id)];
    if (!user || name === undefined) return undefined;
    project.members.set(name, ROLES[user.role ?? ""] ?? "viewer");
    return name;
  }

  /** A name that no other object of the kind has in the project. */
  #free(project: Project, kind: string, name: string, longest = 100): string {
    const taken = project.names.get(kind) ?? new Set<string>();
    project.names.set(kind, taken);
    return free(
      cleanText(name)
        .trim()
        .slice(0, longest - 4) || kind,
      taken,
    );
  }

  #writeSchedules(): void {
    const { schedules } = this.#old;
    for (const schedule of schedules) {
      const project = this.#projects.get(schedule.team_id);
      if (!project) continue;
      const name = this.#free(project, "schedule", schedule.name);
      const written = writeSchedule(this.#files, this.#old, schedule, {
        ...{ name, project: project.slug },
        nameOf: (id) => this.#names.get(id),
        isNotified: (id) => ROLES[this.#users.get(id)?.role ?? ""] !== undefined,
        isAccepted: this.#options.accept.includes(schedule.name),
        hasLocalTimes: this.#options.localTimes.includes(schedule.name),
      });
      const zone = schedule.time_zone ?? "UTC";
      this.#schedules.set(schedule.id, { written, name, project, zone });
      this.#addPeople(project, written.people);
      project.oncall.push(written.document);
      project.comments.push(...written.comments);
      project.runtime.overrides.push(...written.overrides);
      project.runtime.swaps.push(...written.swaps);
      this.#files.count("schedules");
    }
    for (const name of [...this.#options.accept, ...this.#options.localTimes])
      if (!schedules.some((each) => each.name === name))
        this.#files.note("schedule", name, "to do", "There is none of this name");
  }

  #addPeople(project: Project, people: Iterable<string>): void {
    const wanted = new Set(people);
    for (const [id, name] of this.#names) if (wanted.has(name) && !project.members.has(name)) this.#member(project, id);
  }

  /** The policy of a chain in a project; one of another team is written there, too. */
  #policy(project: Project, chainId: string | null): WrittenChain {
    const chain = this.#old.chains.find(({ id }) => id === chainId);
    const key = chain?.id ?? "";
    const known = project.policies.get(key);
    if (known) return known;
    const written = chain ? this.#chain(project, chain) : nobody();
    project.policies.set(key, written);
    if (chain) this.#files.count("policies");
    return written;
  }

  #chain(project: Project, chain: GrafanaOnCall["chains"][number]): WrittenChain {
    const { steps, users, webhooks } = this.#old;
    if (chain.team_id !== project.team)
      this.#files.note(
        "escalation chain",
        chain.name,
        "changed",
        `It is written into ${project.slug}, too, whose integrations use it`,
      );
    return writeChain(
      this.#files,
      { name: this.#free(project, "policy", chain.name) },
      steps.filter((step) => step.escalation_chain_id === chain.id),
      {
        person: (id) => this.#member(project, id),
        team: (id) => users.flatMap((user) => (user.teams?.includes(id) ? (this.#member(project, user.id) ?? []) : [])),
        schedule: (id) => {
          const found = this.#schedules.get(id);
          if (!found) return undefined;
          this.#addPeople(project, found.written.people);
          const isOwn = found.project === project;
          return { target: { name: found.name, ...(!isOwn && { project: found.project.slug }) }, at: found.written.at };
        },
        webhook: (id) => webhooks.find((webhook) => webhook.id === id),
        channel: (webhook) => this.#channel(project, webhook),
        interval: (from, to) => {
          const name = `from ${from} to ${to} UTC`;
          const times =
            from < to ? [span(from, to)] : [span(from, "24:00"), ...(to === "00:00" ? [] : [span("00:00", to)])];
          project.intervals.set(name, { name, intervals: [{ times, location: "UTC" }] });
          return name;
        },
      },
    );
  }

  /** A channel that calls a webhook, with its URL as a secret. */
  #channel(project: Project, webhook: OldWebhook): string | undefined {
    const { name, url, http_method, data, headers, username, password, authorization_header } = webhook;
    const isTemplate = url === null || /\{\{|\{%/.test(url) || !/^https?:\/\//.test(url);
    if (isTemplate || webhook.is_webhook_enabled === false) return undefined;
    const known = project.channels.find((each) => each.name === name);
    if (known) return known.name;
    const fields = { url: this.#files.secret(url, project.slug, name, "url"), ...(username && { username }) };
    // A project's channels also get notifications of rules, which OnCall does not have.
    const eventTypes = ["incident.*"];
    const written = { name: this.#free(project, "channel", name), preset: "http", fields, eventTypes };
    project.channels.push(written);
    this.#files.count("webhooks");
    const text = (what: string) => this.#files.note("webhook", name, "to do", what);
    if (password !== null || authorization_header !== null)
      text("OnCall does not show its password: set it at the channel");
    if (data !== null || headers !== null || http_method !== "POST")
      text(
        `Its body is that of Prism: write method ${http_method ?? ""}, headers and body as the channel's template.request`,
      );
    return written.name;
  }

  /** Those that no step calls. The URL is the name of a project's webhook: it may be a secret, so files have none. */
  #writeWebhooks(): void {
    for (const { name, team, trigger_type: trigger } of this.#old.webhooks) {
      if (!this.#projects.has(team) || trigger === "escalation") continue;
      const types = TRIGGERS[trigger ?? ""];
      const instead = types === undefined ? "Prism has no such event" : `make a webhook of the project for ${types}`;
      this.#files.note("webhook", name, "not taken", `Its trigger is ${trigger ?? "unknown"}: ${instead}`);
    }
  }

  #writeIntegration(integration: OnCallIntegration): void {
    const project = this.#projects.get(integration.team_id);
    if (!project) return;
    const files = this.#files;
    const title = integration.name ?? integration.type;
    const note = (outcome: "not taken" | "changed" | "to do", text: string) =>
      files.note("integration", title, outcome, text);
    const preset = presetOf(integration);
    if (!preset)
      return note("not taken", `Nothing sends to the type ${integration.type}: people open incidents in the console`);
    const name = this.#free(project, "receiver", title);
    const labels = { oncall: name };
    const token = tokenOf(integration);
    const variable =
      token === null
        ? files.toFill(`A new token for ${name}: 10 to 64 letters and digits`, project.slug, name, "token")
        : files.secret(token, project.slug, name, "token");
    project.receivers.push({ name, preset: preset.preset, labels, token: variable });
    files.count("receivers");
    if (integration.inbound_email) note("to do", "Its mail address changes: give senders that of the receiver");
    else note("to do", "Its senders need another host name; path and token stay");
    if (!preset.isKnown)
      note("changed", `Its type ${integration.type} has no preset: write a mapping for the receiver`);
    this.#noteTemplates(integration, note);
    const all = [
      integration.default_route,
      ...this.#old.routes.filter((route) => route.integration_id === integration.id),
    ];
    const rooms = [...new Set(all.flatMap((route) => route?.slack?.channel_id ?? route?.telegram?.id ?? []))];
    if (rooms.length > 0)
      note(
        "not taken",
        `It posts to the rooms ${rooms.join(", ")}: make channels of the project, and add them to the policies`,
      );
    this.#writeHeartbeat(project, integration, name);
    this.#writeMaintenance(project, integration, name);
    const own = this.#old.routes.filter((route) => route.integration_id === integration.id && !route.is_the_last_route);
    const routes = own
      .sort((a, b) => a.position - b.position)
      .flatMap((route) => this.#route(project, integration, route, name) ?? []);
    const last = this.#old.routes.find((route) => route.integration_id === integration.id && route.is_the_last_route);
    const policy = this.#policy(
      project,
      last?.escalation_chain_id ?? integration.default_route?.escalation_chain_id ?? null,
    );
    // What an untaken route would have caught cannot be told apart: without one, this is who is paged.
    if (routes.length === own.length) this.#test(project, `${name}, the rest`, labels, policy);
    else this.#test(project, `${name}, what no route takes`, labels, policy);
    project.routes.push({
      matchers: [matcher("oncall", name)],
      policy: policy.name,
      ...(routes.length > 0 && { routes }),
    });
    files.count("routes", routes.length + 1);
  }

  #route(project: Project, integration: OnCallIntegration, route: OnCallRoute, name: string): object | undefined {
    const policy = this.#policy(project, route.escalation_chain_id);
    const labels = labelsOf(integration, route);
    if (labels === null) {
      const text = `The ${route.routing_type ?? "regex"} ${route.routing_regex ?? "(labels)"}, which goes to ${policy.name}, is no comparison of labels. Until you write its matchers, its alerts go on to the routes after it of ${name}`;
      // Alerts would go to other people: it is named before all else.
      this.#files.rows.unshift({ kind: "route", name: `${name}, ${route.position + 1}`, outcome: "not taken", text });
      project.comments.push(
        `Route ${route.position + 1} of ${name}, ${route.routing_type ?? "regex"} ${route.routing_regex ?? ""}:`,
        `  - { matchers: [], policy: ${JSON.stringify(policy.name)} }`,
      );
      return undefined;
    }
    this.#test(
      project,
      `${name}, route ${route.position + 1}`,
      { oncall: name, ...Object.fromEntries(labels) },
      policy,
    );
    return { matchers: labels.map(([label, value]) => matcher(label, value)), policy: policy.name };
  }

  #noteTemplates({ templates }: OnCallIntegration, note: (outcome: "changed", text: string) => void): void {
    for (const key of ["grouping_key", "resolve_signal", "acknowledge_signal", "source_link"]) {
      const template = templates?.[key];
      if (typeof template === "string")
        note(
          "changed",
          `Its template ${key} is not taken; write a mapping for the receiver: ${template.slice(0, 500)}`,
        );
    }
  }

  #writeHeartbeat(project: Project, { heartbeat }: OnCallIntegration, name: string): void {
    if (!heartbeat?.link) return;
    const token = heartbeatToken(heartbeat.link);
    const title = this.#free(project, "heartbeat", `Heartbeat of ${name}`);
    const ping = token !== null && { ping: this.#files.secret(token, project.slug, name, "heartbeat") };
    project.heartbeats.push({ name: title, timeout: "10m", grace: "1m", labels: { oncall: name }, ...ping });
    this.#files.note(
      "heartbeat",
      title,
      "to do",
      "OnCall does not say after which time it expires: 10 minutes are written",
    );
    this.#files.count("heartbeats");
  }

  #writeMaintenance(project: Project, integration: OnCallIntegration, name: string): void {
    const { maintenance_mode: mode, maintenance_end_at: ends } = integration;
    const end = ends === null ? Number.NaN : Date.parse(ends);
    if (mode === null || !(end > this.#old.now)) return;
    const span = { startsAt: toRfc3339(this.#old.now), endsAt: toRfc3339(end) };
    const comment = `Maintenance of ${name}`;
    project.runtime.silences.push({ matchers: [matcher("oncall", name)], comment, ...span });
    if (mode === "debug") this.#files.note("integration", name, "changed", "Its debug mode is a silence");
  }

  #test(project: Project, what: string, labels: Readonly<Record<string, string>>, policy: WrittenChain): void {
    const { now, to } = this.#old;
    const zone = [...this.#schedules.values()].find((each) => each.project === project)?.zone ?? "UTC";
    const hourIn = (at: EpochMs) => new Date(at + zoneOffsetMs(zone, at)).getUTCHours();
    for (const { name, at } of testTimes(zone, now, nextChange(zone, now), hourIn)) {
      const pages = at < to ? pagesAt(policy, at, to) : null;
      // Where OnCall pages nobody, Prism asks the fallback: that is no difference to refuse.
      const expect = { policy: policy.name, ...(pages !== null && pages.length > 0 && { pages }) };
      const alert = { alertname: "Test of the import", ...labels };
      this.#tests.push({ name: `${what} ${name}`, project: project.slug, at: toRfc3339(at), alert, expect });
    }
  }

  #addFiles(): void {
    const files = this.#files;
    const projects = [...this.#projects.values()].filter(isUsed);
    const named = new Set(projects.flatMap(({ members }) => [...members.keys()]));
    const isAll = this.#options.teams === null;
    const people = this.#old.users.filter(({ id }) => isAll || named.has(this.#names.get(id) ?? ""));
    files.count("people", people.length);
    files.count("projects", projects.length);
    files.add("people", { people: people.map((user) => this.#person(user)) });
    for (const project of projects)
      files.add(files.fileFor(project.slug), { projects: [documentOf(project)] }, project.comments);
    const runtime = projects.flatMap(({ slug, runtime: all }) => {
      const own = Object.fromEntries(Object.entries(all).filter(([, entries]) => entries.length > 0));
      return Object.keys(own).length > 0 ? [{ slug, runtime: own }] : [];
    });
    if (runtime.length > 0) files.add("runtime", { projects: runtime });
    files.count("tests", this.#tests.length);
    if (this.#tests.length > 0) files.add("tests", { tests: this.#tests });
  }

  #person(user: OldUser): object {
    const { id, email, timezone, is_phone_number_verified: hasPhone } = user;
    const username = this.#names.get(id) ?? "";
    const shown = cleanText(user.username).trim();
    const isRenamed = username !== shown.toLowerCase();
    if (isRenamed)
      this.#files.note("person", user.username, "changed", `The username is ${username}; that of OnCall is the name`);
    const missing = hasPhone ? ["the phone number"] : [];
    const rules = this.#old.rules.filter((rule) => rule.user_id === id).sort((a, b) => a.position - b.position);
    const [high, low] = [true, false].map((important) =>
      contactRules(
        rules.filter((rule) => rule.important === important),
        missing,
      ),
    );
    if (missing.length > 0)
      this.#files.note("person", username, "to do", `Adds under Account: ${[...new Set(missing)].join(", ")}`);
    return {
      ...{ username, ...(email && { email }), ...(isRenamed && shown && { name: shown }), invite: true },
      ...(timezone !== null && isTimezone(timezone) && { timezone }),
      ...(rules.length > 0 && { contactRules: { high, low } }),
    };
  }
}

/** Usernames of OnCall may be mail addresses. */
function usernameOf(text: string): string {
  const [local = ""] = text.normalize("NFKD").toLowerCase().split("@");
  const plain = local
    .replace(/[^a-z0-9._-]+/g, "-")
    .replace(/^[-.]+|[-.]+$/g, "")
    .slice(0, 60);
  return plain.length > 1 && plain !== "me" ? plain : slugOf(`user ${text}`);
}

function nobody(): WrittenChain {
  return { name: NOBODY, document: { name: NOBODY, opensIncidents: false }, pages: [] };
}

function span(start_time: string, end_time: string): object {
  return { start_time, end_time };
}

const WAYS: Readonly<Record<string, readonly [way: string, missing: string | null]>> = {
  notify_by_email: ["email", null],
  notify_by_slack: ["service", "a channel for Slack"],
  notify_by_telegram: ["service", "a channel for Telegram"],
  notify_by_msteams: ["service", "a channel for Teams"],
  notify_by_sms: ["service", "a channel for SMS"],
  notify_by_phone_call: ["service", "a channel for calls"],
};
const PUSH = ["push", "notifications in a browser or app"] as const;
const MAX_RULES = 10;

/** Waits are summed up. @param missing gets what the person has to add */
function contactRules(rules: GrafanaOnCall["rules"], missing: string[]): object[] {
  const channels = new Map<number, Set<string>>();
  let after = 0;
  for (const { type, duration } of rules) {
    if (type === "wait") {
      after += (duration ?? 300) * 1000;
      continue;
    }
    const [way, adds] = WAYS[type] ?? PUSH;
    if (adds !== null) missing.push(adds);
    channels.set(after, new Set([...(channels.get(after) ?? []), way]));
  }
  return [...channels].slice(0, MAX_RULES).map(([ms, ways]) => ({ after: durationText(ms), channels: [...ways] }));
}

function isUsed({ team, oncall, policies, receivers }: Project): boolean {
  return team !== null || oncall.length + policies.size + receivers.length > 0;
}

function documentOf(project: Project): object {
  const { slug, name, members, channels, oncall, policies, intervals, routes, heartbeats, receivers } = project;
  const timeIntervals = [...intervals.values()];
  const route = { policy: "default", groupBy: ["oncall", "alertname"], groupWait: "0s", routes };
  const lists = {
    channels,
    oncall,
    policies: [...policies.values()].map(({ document }) => document),
    heartbeats,
    receivers,
  };
  return {
    ...{ slug, name, members: Object.fromEntries([...members].sort(([a], [b]) => (a < b ? -1 : 1))) },
    ...Object.fromEntries(Object.entries(lists).filter(([, list]) => list.length > 0)),
    ...((routes.length > 0 || timeIntervals.length > 0) && {
      routes: { ...(timeIntervals.length > 0 && { timeIntervals }), route },
    }),
  };
}
