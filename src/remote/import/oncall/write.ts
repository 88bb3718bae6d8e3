import { yamlText } from "../../../config/files/yaml-text.ts";
import { type Matcher, matcherText } from "../../../features/alerts/model/matchers.ts";
import { ContactWays } from "../contact-ways.ts";
import { SECRETS_FILE } from "../earlier-files.ts";
import { ImportedFiles, plainName } from "../files.ts";
import type { ApiImportOptions } from "../http-source.ts";
import type { ReportRow } from "../report.ts";
import type { OldRoute } from "../routes.ts";
import { type TakenSchedule, TeamFiles, type TeamPolicy, type TeamProject } from "../team-files.ts";
import { writeChain } from "./chains.ts";
import type { GrafanaOnCall, OldChain, OldRule, OldUser, OnCallIntegration, OnCallRoute } from "./read.ts";
import { heartbeatToken, labelsOf, presetOf, tokenOf } from "./routes.ts";
import { addSchedule } from "./schedules.ts";

export interface OnCallOptions extends Omit<ApiImportOptions, "untilMs"> {
  /** Names of schedules whose shifts of UTC get the zone of the schedule. */
  readonly localTimes: readonly string[];
  /** Numbers of OnCall's database by username: its API shows none. */
  readonly phones: ReadonlyMap<string, string>;
}

const ROLES: Readonly<Record<string, "owner" | "editor">> = { admin: "owner", editor: "editor" };
/** Event types of a project's webhook by the trigger of one of OnCall. */
const TRIGGERS: Readonly<Record<string, string>> = {
  "alert group created": "incident.opened",
  ...{ acknowledge: "incident.acknowledged", resolve: "incident.resolved", "status change": "incident.*" },
};

/** What routes of a project are made of. */
interface ProjectRoutes {
  readonly rules: OldRoute[];
  /** By name. */
  readonly intervals: Map<string, object>;
}

/** OnCall as configuration files of Prism. */
export function writeOnCall(old: GrafanaOnCall, options: OnCallOptions): ImportedFiles {
  return new Writer(old, options).write();
}

class Writer {
  readonly #files = new ImportedFiles("oncall");
  readonly #old: GrafanaOnCall;
  readonly #options: OnCallOptions;
  readonly #team: TeamFiles;
  readonly #schedules = new Map<string, TakenSchedule>();
  readonly #policies = new Map<string, TeamPolicy>();
  readonly #channels = new Map<string, string>();
  readonly #routes = new Map<TeamProject, ProjectRoutes>();

  constructor(old: GrafanaOnCall, options: OnCallOptions) {
    this.#old = old;
    this.#options = options;
    this.#team = new TeamFiles(this.#files, old, { ...options, untilMs: old.to - old.now });
  }

  write(): ImportedFiles {
    const { missing, users, teams, chains, integrations } = this.#old;
    const team = this.#team;
    team.noteMissing(missing);
    for (const user of users) this.#addUser(user);
    for (const { id, name } of teams)
      team.projectOf("team", name, [id])?.needs(users.flatMap((user) => this.#isIn(user, id) ?? []));
    this.#addSchedules();
    for (const chain of chains) {
      const project = team.projectOf("escalation chain", chain.name, [chain.team_id]);
      if (project) this.#policy(project, chain.id);
    }
    for (const integration of integrations) this.#addIntegration(integration);
    this.#noteWebhooks();
    for (const [project, { rules, intervals }] of this.#routes)
      team.addRoutes(project, rules, [], { groupBy: ["oncall", "alertname"], intervals: [...intervals.values()] });
    // Who is in no team is a member where no team is.
    if (this.#options.teams === null && this.#hasRest())
      team
        .projectOf("project", "", [])
        ?.needs(users.flatMap((user) => (user.teams?.length ? [] : (team.usernameOf(user.id) ?? []))));
    return team.write();
  }

  #hasRest(): boolean {
    const { teams, schedules, chains, integrations } = this.#old;
    const ids = [...schedules, ...chains, ...integrations].map(({ team_id }) => team_id);
    return ids.some((id) => !teams.some((each) => each.id === id));
  }

  #isIn(user: OldUser, teamId: string): string | undefined {
    return user.teams?.includes(teamId) ? this.#team.usernameOf(user.id) : undefined;
  }

  #addUser(user: OldUser): void {
    const { id, email, timezone, role, is_phone_number_verified: hasPhone } = user;
    const shown = plainName(user.username);
    const rows: ReportRow[] = [];
    const note = (name: string, outcome: ReportRow["outcome"], text: string) =>
      rows.push({ kind: "person", name, outcome, text });
    const given = this.#options.phones.get(user.username)?.replace(/[\s()-]/g, "");
    const phone = given !== undefined && /^\+[1-9]\d{6,14}$/.test(given) ? given : null;
    const missing = new Set(hasPhone && phone === null ? ["the phone number"] : []);
    const ways = contactWays(
      this.#old.rules.filter(({ user_id }) => user_id === id),
      missing,
    );
    const username = this.#team.addPerson(
      {
        ...{ id, email: email || null, username: user.username, name: shown || null, phone },
        ...{ timezone, role: ROLES[role ?? ""] ?? "viewer" },
        contactRules: ways.document((text) => note(user.username, "changed", text)),
      },
      rows,
    );
    if (username !== shown.toLowerCase())
      note(user.username, "changed", `The username is ${username}; that of OnCall is the name`);
    if (missing.size > 0) note(username, "to do", `Adds under Account: ${[...missing].join(", ")}`);
  }

  #addSchedules(): void {
    const { schedules, users } = this.#old;
    const { accept, localTimes } = this.#options;
    for (const schedule of schedules) {
      const project = this.#team.projectOf("schedule", schedule.name, [schedule.team_id]);
      if (!project) continue;
      const taken = addSchedule(this.#team, project, this.#old, schedule, {
        name: schedule.name,
        nameOf: (id) => this.#team.usernameOf(id),
        isNotified: (id) => ROLES[users.find((user) => user.id === id)?.role ?? ""] !== undefined,
        hasLocalTimes: localTimes.includes(schedule.name),
      });
      this.#schedules.set(schedule.id, taken);
    }
    for (const name of [...accept, ...localTimes])
      if (!schedules.some((each) => each.name === name))
        this.#files.note("schedule", name, "to do", "There is none of this name");
  }

  /** The policy of a chain in a project; one of another team is written there, too. */
  #policy(project: TeamProject, chainId: string | null): TeamPolicy {
    const chain = this.#old.chains.find(({ id }) => id === chainId);
    if (!chain) return this.#team.nobodyOf(project);
    const key = `${project.slug} ${chain.id}`;
    const policy = this.#policies.get(key) ?? this.#addChain(project, chain);
    this.#policies.set(key, policy);
    return policy;
  }

  #addChain(project: TeamProject, { id, name, team_id }: OldChain): TeamPolicy {
    const { steps, users } = this.#old;
    const note = (outcome: "not taken" | "changed", text: string) =>
      this.#files.note("escalation chain", name, outcome, text);
    if (this.#team.projectOf("escalation chain", name, [team_id]) !== project)
      note("changed", `It is written into ${project.slug}, too, whose integrations use it`);
    const person = (user: string) => {
      const username = this.#team.usernameOf(user);
      if (username !== undefined) project.needs([username]);
      return username;
    };
    const context = {
      ...{ project, person },
      team: (team: string) => users.flatMap((user) => (user.teams?.includes(team) ? (person(user.id) ?? []) : [])),
      schedule: (schedule: string) => this.#scheduleIn(project, schedule),
      channel: (webhook: string) => this.#channel(project, webhook),
      interval: (from: string, to: string) => this.#interval(project, from, to),
    };
    const chain = writeChain(
      steps.filter(({ escalation_chain_id }) => escalation_chain_id === id),
      context,
      (text) => note("not taken", text),
    );
    return this.#team.putPolicy(project, { name: project.nameFor("policies", name), ...chain });
  }

  #scheduleIn(project: TeamProject, id: string): TakenSchedule | undefined {
    const found = this.#schedules.get(id);
    project.needs((found?.exact?.shifts ?? []).flatMap(({ turns }) => turns.flat()));
    return found;
  }

  #routesOf(project: TeamProject): ProjectRoutes {
    const routes = this.#routes.get(project) ?? { rules: [], intervals: new Map<string, object>() };
    this.#routes.set(project, routes);
    return routes;
  }

  #interval(project: TeamProject, from: string, to: string): string {
    const name = `from ${from} to ${to} UTC`;
    const times = from < to ? [span(from, to)] : [span(from, "24:00"), ...(to === "00:00" ? [] : [span("00:00", to)])];
    this.#routesOf(project).intervals.set(name, { name, intervals: [{ times, location: "UTC" }] });
    return name;
  }

  /** A channel that calls a webhook, with its URL as a secret. */
  #channel(project: TeamProject, id: string): string | undefined {
    const webhook = this.#old.webhooks.find((each) => each.id === id);
    if (!webhook) return undefined;
    const { name, url, http_method, data, headers, username, password, authorization_header } = webhook;
    const isTemplate = url === null || /\{\{|\{%/.test(url) || !/^https?:\/\//.test(url);
    if (isTemplate || webhook.is_webhook_enabled === false) return undefined;
    const key = `${project.slug} ${id}`;
    const known = this.#channels.get(key);
    if (known !== undefined) return known;
    const own = project.nameFor("channels", name);
    this.#channels.set(key, own);
    const fields = { url: this.#files.secret(url, project.slug, name, "url"), ...(username && { username }) };
    // A project's channels also get notifications of rules, which OnCall does not have.
    this.#team.add(project, "channels", { name: own, preset: "http", fields, eventTypes: ["incident.*"] });
    const note = (text: string) => this.#files.note("webhook", name, "to do", text);
    if (password !== null || authorization_header !== null)
      note("OnCall does not show its password: set it at the channel");
    if (data !== null || headers !== null || http_method !== "POST")
      note(
        `Its body is that of Prism: write method ${http_method ?? ""}, headers and body as the channel's template.request`,
      );
    return own;
  }

  /** Those that no step calls. The URL is the name of a project's webhook: it may be a secret, so files have none. */
  #noteWebhooks(): void {
    for (const { name, team, trigger_type: trigger } of this.#old.webhooks) {
      if (trigger === "escalation" || !this.#team.projectOf("webhook", name, [team])) continue;
      const types = TRIGGERS[trigger ?? ""];
      const instead = types === undefined ? "Prism has no such event" : `make a webhook of the project for ${types}`;
      this.#files.note("webhook", name, "not taken", `Its trigger is ${trigger ?? "unknown"}: ${instead}`);
    }
  }

  #addIntegration(integration: OnCallIntegration): void {
    const { type, inbound_email, default_route } = integration;
    const title = integration.name ?? type;
    const project = this.#team.projectOf("integration", title, [integration.team_id]);
    if (!project) return;
    const files = this.#files;
    const note = (outcome: ReportRow["outcome"], text: string) => files.note("integration", title, outcome, text);
    const preset = presetOf(integration);
    if (!preset) return note("not taken", `Nothing sends to the type ${type}: people open incidents in the console`);
    const name = project.nameFor("receivers", title);
    const token = tokenOf(integration);
    const variable =
      token === null
        ? files.toFill(`A new token for ${name}: 10 to 64 letters and digits`, project.slug, name, "token")
        : files.secret(token, project.slug, name, "token");
    // Amazon's messages are verified by their topic.
    const secret = preset.preset === "cloudwatch" && {
      secret: files.toFill(`The ARN of the SNS topic that sends to ${name}`, project.slug, name, "secret"),
    };
    const receiver = { name, preset: preset.preset, labels: { oncall: name }, token: variable, ...secret };
    this.#team.add(project, "receivers", receiver);
    if (secret) note("to do", `Fill the ARN of its SNS topic into ${SECRETS_FILE}`);
    if (inbound_email) note("to do", "Its mail address changes: give senders that of the receiver");
    else note("to do", "Its senders need another host name; path and token stay");
    if (!preset.isKnown)
      note(
        "to do",
        "What its sender sends is not known: send one, look at its alert, write a mapping if its title or end is wrong",
      );
    for (const key of ["grouping_key", "resolve_signal", "acknowledge_signal", "source_link"]) {
      const template = integration.templates?.[key];
      if (typeof template === "string")
        note(
          "changed",
          `Its template ${key} is not taken; write a mapping for the receiver: ${template.slice(0, 500)}`,
        );
    }
    const routes = this.#old.routes.filter(({ integration_id }) => integration_id === integration.id);
    const ofRooms = [default_route, ...routes];
    const rooms = new Set(ofRooms.flatMap((route) => route?.slack?.channel_id ?? route?.telegram?.id ?? []));
    if (rooms.size > 0)
      note(
        "not taken",
        `It posts to the rooms ${[...rooms].join(", ")}: make channels of the project with eventTypes incident.*, as others ` +
          "also get on-call notices, and add them to the policies",
      );
    this.#addHeartbeat(project, integration, name);
    this.#addMaintenance(project, integration, name);
    this.#addRoutes(project, integration, name, routes);
  }

  #addRoutes(project: TeamProject, integration: OnCallIntegration, name: string, routes: OnCallRoute[]): void {
    const { rules } = this.#routesOf(project);
    const zones = [...this.#schedules.values()].flatMap((each) => (each.project === project ? (each.exact ?? []) : []));
    // Routes that are not taken are comments where they were.
    let lost: string[] = [];
    const add = (what: string, matchers: Matcher[], { name: policy }: TeamPolicy) => {
      rules.push({
        ...{ name: `${name}, ${what}`, alternatives: [[equals("oncall", name), ...matchers]], windows: [], policy },
        timezone: zones[0]?.timezone ?? "UTC",
        before: lost.length > 0 ? this.#files.comment(lost) : undefined,
      });
      lost = [];
    };
    for (const route of routes.sort((a, b) => a.position - b.position)) {
      if (route.is_the_last_route) continue;
      const policy = this.#policy(project, route.escalation_chain_id);
      const matchers = labelsOf(integration, route);
      if (matchers) add(`route ${route.position + 1}`, matchers, policy);
      else lost.push(...this.#loseRoute(integration, route, name, policy));
    }
    const last = routes.find((route) => route.is_the_last_route) ?? integration.default_route;
    add("the rest", [], this.#policy(project, last?.escalation_chain_id ?? null));
  }

  /** Its alerts would go to other people: it is named before all else. Returns its comment. */
  #loseRoute(
    integration: OnCallIntegration,
    { position, ...route }: OnCallRoute,
    name: string,
    { name: policy }: TeamPolicy,
  ): readonly string[] {
    const condition = `${route.routing_type ?? "regex"} ${route.routing_regex || "that OnCall does not tell"}`;
    const isOfLabels = labelsOf({ ...integration, type: "alertmanager" }, { position, ...route }) !== null;
    const reason = isOfLabels
      ? `compares a label that alerts of its receiver do not have, as its type is ${integration.type}. Until you write a ` +
        "mapping with this label for the receiver, and the route's matchers"
      : "is no comparison of labels. Until you write its matchers";
    const text = `The ${condition}, which goes to ${policy}, ${reason}, its alerts go on to the routes after it of ${name}`;
    this.#files.rows.unshift({ kind: "route", name: `${name}, ${position + 1}`, outcome: "not taken", text });
    const written = yamlText([{ matchers: [matcherText(equals("oncall", name))], policy }]);
    // Uncommented, the first line is still a comment.
    return [
      `# OnCall's route ${position + 1}, ${plainName(condition)}: add its matchers`,
      ...written.trimEnd().split("\n"),
    ];
  }

  #addHeartbeat(project: TeamProject, { heartbeat }: OnCallIntegration, name: string): void {
    if (!heartbeat?.link) return;
    const token = heartbeatToken(heartbeat.link);
    const title = project.nameFor("heartbeats", `Heartbeat of ${name}`);
    const ping = token !== null && { ping: this.#files.secret(token, project.slug, name, "heartbeat") };
    const labels = { oncall: name };
    this.#team.add(project, "heartbeats", { name: title, timeout: "10m", grace: "1m", labels, ...ping });
    this.#files.note(
      ...(["heartbeat", title, "to do"] as const),
      "OnCall does not say after which time it expires: 10 minutes are written",
    );
  }

  #addMaintenance(project: TeamProject, integration: OnCallIntegration, name: string): void {
    const { maintenance_mode: mode, maintenance_started_at: started, maintenance_end_at: ends } = integration;
    const [start, end] = [Date.parse(started ?? ""), Date.parse(ends ?? "")];
    if (mode === null || !(end > this.#old.now)) return;
    const times = { start: Number.isNaN(start) ? this.#old.now : start, end };
    this.#team.addSilence(project, equals("oncall", name), times, `Maintenance of ${name}`);
    if (mode === "debug") this.#files.note("integration", name, "changed", "Its debug mode is a silence");
  }
}

function equals(name: string, value: string): Matcher {
  return { name, operator: "=", value };
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

/** Waits are summed up. @param missing gets what the person has to add */
function contactWays(rules: readonly OldRule[], missing: Set<string>): ContactWays {
  const ways = new ContactWays();
  const after = { high: 0, low: 0 };
  for (const { type, duration, important } of rules.toSorted((a, b) => a.position - b.position)) {
    const urgency = important ? "high" : "low";
    if (type === "wait") {
      after[urgency] += (duration ?? 300) * 1000;
      continue;
    }
    const [way, adds] = WAYS[type] ?? PUSH;
    if (adds !== null) missing.add(adds);
    ways.add(urgency, after[urgency], way);
  }
  return ways;
}
