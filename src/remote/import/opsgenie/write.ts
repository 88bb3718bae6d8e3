import { DAY_MS, HOUR_MS, MINUTE_MS } from "../../../core/time/clock.ts";
import { finalShifts } from "../../../features/oncall/model/layers.ts";
import { durationText } from "../../../http/api/file-form.ts";
import { ContactWays } from "../contact-ways.ts";
import { ImportedFiles } from "../files.ts";
import type { ApiImportOptions } from "../http-source.ts";
import { type FileOverride, type FileSchedule, type FileShift, rosterOfFile } from "../proof.ts";
import type { ReportRow } from "../report.ts";
import { type RotationForm, rotationForms } from "../schedules.ts";
import {
  type EscalationStep,
  type TakenSchedule,
  TeamFiles,
  type TeamPolicy,
  type TeamProject,
} from "../team-files.ts";
import { type OldRotation, WEEK_MS, zoneOf } from "../windows.ts";
import type { OldOpsgenie, OldSpan, OpsgenieEscalation, OpsgenieRef, OpsgenieSchedule, OpsgenieUser } from "./read.ts";
import { addRoutes, windowsOf } from "./routes.ts";

const UNIT_MS: Readonly<Record<string, number>> = {
  ...{ seconds: 1000, minutes: MINUTE_MS, hours: HOUR_MS, days: DAY_MS, weeks: WEEK_MS },
  ...{ hourly: HOUR_MS, daily: DAY_MS, weekly: WEEK_MS },
};
const SEVERITIES: Readonly<Record<string, string>> = {
  ...{ P1: "critical", P2: "error", P3: "warning", P4: "info", P5: "info" },
};
/** Ways of contact rules; the person adds the channel. */
const WAYS: Readonly<Record<string, string>> = { email: "email", mobile: "push", sms: "service", voice: "service" };

function spanMs(span: OldSpan): number {
  return (span?.timeAmount ?? 0) * (UNIT_MS[(span?.timeUnit ?? "minutes").toLowerCase()] ?? MINUTE_MS);
}

/** The files of an account; the same account gives the same files. */
export function writeOpsgenie(old: OldOpsgenie, options: ApiImportOptions): ImportedFiles {
  return new OpsgenieFiles(old, options).write();
}

class OpsgenieFiles {
  readonly #old: OldOpsgenie;
  readonly #options: ApiImportOptions;
  readonly #files = new ImportedFiles("opsgenie");
  readonly #team: TeamFiles;
  readonly #schedules = new Map<string, TakenSchedule>();
  readonly #policies = new Map<string, { readonly project: TeamProject; readonly policy: TeamPolicy }>();
  /** Where the alerts of each integration are, by their label; null: it is not taken. */
  readonly #integrations = new Map<string, { readonly project: TeamProject; readonly label: string } | null>();

  constructor(old: OldOpsgenie, options: ApiImportOptions) {
    this.#old = old;
    this.#options = options;
    this.#team = new TeamFiles(this.#files, old, options);
  }

  write(): ImportedFiles {
    const { teams, schedules, escalations, missing } = this.#old;
    this.#team.noteMissing(missing);
    for (const user of this.#old.users) this.#addUser(user);
    for (const { id, name, members } of teams) {
      const project = this.#team.projectOf("team", name, [id]);
      if (!project) continue;
      for (const { user, isAdmin } of members) {
        const username = this.#userOf(user);
        if (username !== undefined) project.members.set(username, isAdmin ? "owner" : "editor");
        else this.#files.note("team", name, "not taken", `its member ${nameOf(user) || "without a user"} is unknown`);
      }
    }
    for (const each of schedules) this.#addSchedule(each);
    for (const each of escalations) this.#addEscalation(each);
    for (const { id, name, rules, policies } of teams) {
      const project = this.#team.projectOf("team", name, [id]);
      if (!project) continue;
      addRoutes(this.#team, project, rules, (ref, rule) => this.#policyFor(project, ref, rule));
      for (const policy of policies)
        this.#files.note("policy", policy, "not taken", `is of team ${name}: write a rule or a route`);
    }
    this.#addSenders();
    this.#addMaintenance();
    for (const { fromUser, toUser, endDate } of this.#old.forwarding)
      if (Date.parse(endDate ?? "") > this.#old.now && !(this.#userOf(fromUser) && this.#userOf(toUser)))
        this.#files.note(
          "forwarding",
          `${nameOf(fromUser)} to ${nameOf(toUser)}`,
          "not taken",
          "is of someone unknown",
        );
    for (const name of this.#old.services)
      this.#files.note("service", name, "not taken", "its incident rules are no routes: use labels and routes");
    for (const name of this.#old.policies)
      this.#files.note("alert policy", name, "not taken", "changes alerts: write a rule or labels of a route");
    for (const what of this.#old.unread)
      this.#files.note("account", what, "not taken", "are not read from Jira Service Management: write them by hand");
    return this.#team.write();
  }

  #addUser({ id, username, fullName, timeZone, blocked, contacts, rules }: OpsgenieUser): void {
    const name = username ?? fullName ?? id;
    const rows: ReportRow[] = [];
    const note = (kind: string, about: string, outcome: ReportRow["outcome"], text: string) =>
      rows.push({ kind, name: about, outcome, text });
    if (blocked === true) note("person", name, "to do", "is blocked in Opsgenie: deactivate the account");
    const numbers = contacts.filter(({ method, to }) => (method === "sms" || method === "voice") && to !== null);
    const digits = (numbers[0]?.to ?? "").replace(/\D/g, "");
    const ways = new ContactWays();
    for (const rule of rules) {
      if (rule.enabled === false) continue;
      const about = `${name}: ${rule.name ?? ""}`;
      if (rule.actionType !== "create-alert") {
        note("notification rule", about, "not taken", `is for ${rule.actionType ?? "others"}, not for new alerts`);
        continue;
      }
      const urgencies = urgenciesOf(rule.criteria ?? null);
      if (urgencies === null) note("notification rule", about, "not taken", "depends on more than priority");
      if (rule.timeRestriction)
        note("notification rule", about, "changed", "counts at some times only in Opsgenie, and always here");
      if (rule.repeat?.enabled === true)
        note("notification rule", about, "changed", "repeats in Opsgenie; here the steps of a policy do");
      for (const { contact, sendAfter, enabled } of rule.steps ?? []) {
        if (enabled === false) continue;
        const way = WAYS[contact?.method ?? ""];
        if (way !== undefined) for (const urgency of urgencies ?? []) ways.add(urgency, spanMs(sendAfter), way);
        else note("notification rule", about, "not taken", `uses ${contact?.method ?? "an unknown way"}`);
      }
    }
    const isEmail = username !== null && /^[^@\s]+@[^@\s]+$/.test(username);
    if (!isEmail) note("person", name, "to do", "has no mail address that the token shows: write it");
    if (ways.hasService) note("person", name, "to do", "was called or got SMS: adds a channel for it in Prism");
    const person = {
      ...{ id, email: isEmail ? username : null, name: fullName ?? username, timezone: timeZone },
      phone: /^[1-9]\d{6,14}$/.test(digits) ? `+${digits}` : null,
      contactRules: ways.document((text) => note("person", name, "changed", text)),
    };
    this.#team.addPerson(person, rows);
  }

  #userOf(ref: OpsgenieRef | null): string | undefined {
    const byName = this.#old.users.find(
      ({ username }) => username !== null && username === (ref?.username ?? ref?.name),
    );
    return this.#team.usernameOf(ref?.id) ?? this.#team.usernameOf(byName?.id);
  }

  /** The people of a user or a team; null for others. */
  #people(ref: OpsgenieRef | null): string[] | null {
    if (ref?.type === "none" || ref?.type === "noone") return [];
    if (ref?.type === "team") {
      const team = this.#old.teams.find(({ id, name }) => id === ref.id || (ref.id === null && name === ref.name));
      return team?.members.flatMap(({ user }) => this.#userOf(user) ?? []) ?? null;
    }
    const user = ref?.type === "user" || ref?.type === null ? this.#userOf(ref) : undefined;
    return user === undefined ? null : [user];
  }

  #addSchedule(schedule: OpsgenieSchedule): void {
    const { id, name, ownerTeam, teamId, enabled, rotations, timeline } = schedule;
    const project = this.#team.projectOf("schedule", name, [ownerTeam?.id ?? teamId]);
    if (!project) return;
    if (enabled === false)
      return this.#files.note("schedule", name, "not taken", "is disabled in Opsgenie, where it notifies nobody");
    const timezone = zoneOf(schedule.timezone);
    const olds: OldRotation[] = [];
    let isWhole = true;
    for (const [at, rotation] of rotations.entries()) {
      const turns = rotation.participants.map((each) => this.#people(each));
      const windows = windowsOf(rotation.timeRestriction);
      const turnMs = (rotation.length ?? 1) * (UNIT_MS[rotation.type] ?? Number.NaN);
      const [handover, until] = [Date.parse(rotation.startDate), Date.parse(rotation.endDate ?? "")];
      if (turns.includes(null) || windows === null || Number.isNaN(turnMs + handover)) {
        isWhole = false;
        this.#files.note(
          ...(["rotation", `${name}: ${rotation.name ?? ""}`, "not taken"] as const),
          "has an escalation, a person or a form that Prism's shifts have not",
        );
      } else
        olds.push({
          ...{ name: rotation.name ?? `Rotation ${at + 1}`, handover, turnMs, turns: turns as string[][], windows },
          ...(!Number.isNaN(until) && { until }),
        });
    }
    const { now } = this.#old;
    const overrides = this.#knownOverrides(schedule);
    const taken = this.#team.addSchedule(project, {
      ...{ name, timezone, old: timeline === null ? null : this.#renderingOf(schedule) },
      forms: (own) => (isWhole ? rotationForms(own, olds, { timezone, now }) : []),
      overrides: (form) => this.#overridesOf(schedule, overrides, form),
      calendar: () => this.#files.toFill(`Opsgenie, ${name}: the address of its iCalendar export`, "calendar", name),
      shownTo: timeline?.endDate ? Date.parse(timeline.endDate) : undefined,
    });
    this.#schedules.set(id, taken);
  }

  #renderingOf({ name, timeline }: OpsgenieSchedule) {
    const rotations = timeline?.finalTimeline.rotations.filter(({ deleted }) => deleted !== true) ?? [];
    return rotations.flatMap(({ periods }) =>
      periods.map(({ startDate, endDate, recipient, responder, flattenedRecipients, flattenedResponders }) => {
        const flat = [...flattenedRecipients, ...flattenedResponders];
        const of = recipient ?? responder;
        const refs = flat.length > 0 ? flat : of === null ? [] : [of];
        // Who is not known differs from everyone in the files.
        const users = refs.flatMap(
          (ref) => this.#people(ref) ?? [`${ref.type ?? "someone"} ${ref.name ?? ref.id ?? name}`],
        );
        return { start: Date.parse(startDate), end: Date.parse(endDate), users };
      }),
    );
  }

  #knownOverrides({ name, overrides }: OpsgenieSchedule): readonly KnownOverride[] {
    return overrides.flatMap((override) => {
      const span = { start: Date.parse(override.startDate), end: Date.parse(override.endDate) };
      if (span.end <= this.#old.now) return [];
      const of = override.user ?? override.responder;
      const users = this.#people(of);
      if (users?.length && span.start < span.end)
        return [{ ...span, users, rotations: new Set(override.rotations.map(({ id }) => id)) }];
      const text = `from ${override.startDate} to ${override.endDate} is of ${nameOf(of) || "nobody"}, who is unknown`;
      this.#files.note("override", name, "not taken", text);
      return [];
    });
  }

  /** Overrides, and what people forward, as overrides of one person each. */
  #overridesOf(
    { rotations }: OpsgenieSchedule,
    overrides: readonly KnownOverride[],
    { schedule: form, byRotation }: RotationForm,
  ): FileOverride[] {
    const found: FileOverride[] = [];
    for (const { rotations: ids, ...override } of overrides)
      if (ids.size === 0 || rotations.every(({ id }) => ids.has(id))) found.push(override);
      else
        for (const [at, own] of byRotation.entries())
          if (ids.has(rotations[at]?.id ?? null)) found.push(...replacing(form, own, override));
    const people = new Set(form.shifts.flatMap(({ turns }) => turns.flat()));
    for (const { fromUser, toUser, startDate, endDate } of this.#old.forwarding) {
      const [from, to] = [this.#userOf(fromUser), this.#userOf(toUser)];
      const span = { start: Date.parse(startDate ?? ""), end: Date.parse(endDate ?? "") };
      if (from === undefined || to === undefined || Number.isNaN(span.start + span.end)) continue;
      const isSoon = span.end > this.#old.now && span.start < this.#old.now + this.#options.untilMs;
      if (people.has(from) && isSoon) found.push({ ...span, users: [to], replaces: from });
    }
    return found;
  }

  #addEscalation({ id, name, description, ownerTeam, rules, repeat }: OpsgenieEscalation): void {
    const project = this.#team.projectOf("escalation", name, [ownerTeam?.id]);
    if (!project) return;
    const steps: EscalationStep[] = [];
    for (const rule of [...rules].sort((a, b) => spanMs(a.delay) - spanMs(b.delay))) {
      const targets = this.#targets(rule.recipient ?? rule.responder, rule.notifyType ?? "default");
      if (targets) steps.push({ atMs: spanMs(rule.delay), ...targets });
      else
        this.#files.note(
          ...(["escalation", name, "not taken"] as const),
          `the step after ${durationText(spanMs(rule.delay))}, ${rule.notifyType ?? ""} of ${nameOf(rule.recipient ?? rule.responder)}, has no form here`,
        );
      if (rule.condition === "if-not-closed")
        this.#files.note(
          ...(["escalation", name, "changed"] as const),
          "goes on after an acknowledgement in Opsgenie (if not closed); here it stops",
        );
    }
    const policy = this.#team.addPolicy(project, name, steps, {
      ...(description && { description: description.slice(0, 1000) }),
      lastWaitMs: (repeat?.waitInterval ?? 0) * MINUTE_MS,
      ...{ repeat: repeat?.count ?? 0, resolves: repeat?.closeAlertAfterAll === true },
    });
    this.#policies.set(id, { project, policy });
  }

  /** Null: it has no form here. */
  #targets(ref: OpsgenieRef | null, how: string): Omit<EscalationStep, "atMs"> | null {
    if (ref?.type === "schedule") {
      const schedule = this.#schedules.get(ref.id ?? "");
      if (!schedule) return null;
      if (how === "default" || how === "users") return { users: [], schedules: [{ schedule }] };
      if (how === "next") return { users: [], schedules: [{ schedule, who: "next" }] };
      const users = [...new Set(schedule.exact?.shifts.flatMap(({ turns }) => turns.flat()) ?? [])].sort();
      if (users.length === 0 || users.length > 100) return null;
      if (how === "all") return { users, schedules: [] };
      return how === "random" ? { users, schedules: [], roundRobin: true } : null;
    }
    if (ref?.type === "team") {
      const team = this.#old.teams.find(({ id }) => id === ref.id);
      const members = (isAdmin?: boolean) =>
        (team?.members ?? []).flatMap((each) =>
          isAdmin === undefined || each.isAdmin === isAdmin ? (this.#userOf(each.user) ?? []) : [],
        );
      const users = how === "admins" ? members(true) : how === "users" ? members(false) : members();
      if (users.length === 0 || users.length > 100 || how === "next" || how === "previous") return null;
      return { users, schedules: [], ...(how === "random" && { roundRobin: true }) };
    }
    const users = this.#people(ref);
    return users === null || users.length === 0 ? null : { users, schedules: [] };
  }

  #policyFor(project: TeamProject, ref: OpsgenieRef | null, rule: string): TeamPolicy | null {
    const key = `${project.slug} ${ref?.type} ${ref?.id}`;
    const known = this.#policies.get(ref?.type === "escalation" ? (ref.id ?? "") : key);
    // A route names policies of its own project only.
    if (known) return known.project === project ? known.policy : null;
    if (ref === null || ref.type === "none") return this.#team.nobodyOf(project);
    if (ref.type !== "schedule") return null;
    const targets = this.#targets(ref, "default");
    if (!targets) return null;
    const policy = this.#team.addPolicy(project, nameOf(ref) || rule, [{ atMs: 0, ...targets }]);
    this.#policies.set(key, { project, policy });
    return policy;
  }

  #addSenders(): void {
    const { integrations, heartbeats } = this.#old;
    for (const { id, name, type, enabled, teamId } of integrations) {
      const project = this.#team.projectOf("integration", name, [teamId]);
      if (!project) continue;
      const kind = (type ?? "").toLowerCase();
      this.#integrations.set(id, null);
      const note = (outcome: ReportRow["outcome"], text: string) =>
        this.#files.note("integration", name, outcome, text);
      const preset = PRESETS.get(kind);
      if (enabled === false) note("not taken", "is disabled in Opsgenie");
      else if (API_TYPES.has(kind)) {
        const own = project.nameFor("integrations", name);
        const key = this.#files.toFill(`Opsgenie, integration ${name}: its API key`, project.slug, own, "key");
        this.#team.add(project, "integrations", { kind: "opsgenie", name: own, labels: { integration: own }, key });
        this.#integrations.set(id, { project, label: own });
        note("to do", `its key is shown by Opsgenie only: write it as ${key.env}`);
      } else if (preset !== undefined) {
        // Labels tell both kinds apart, too.
        const own = project.nameFor("integrations", name);
        this.#team.add(project, "receivers", { name: own, preset, labels: { integration: own } });
        this.#integrations.set(id, { project, label: own });
        note("to do", "gets a new address in Prism: change it at the sender by hand");
      } else if (kind === "webhook")
        note("not taken", "sends alerts out: make a channel with the preset http, or a webhook of the project");
      else note("not taken", `has the type ${type}: make a receiver or a channel`);
    }
    for (const each of heartbeats) {
      const project = this.#team.projectOf("heartbeat", each.name, [each.ownerTeam?.id]);
      if (!project) continue;
      if (each.enabled === false) {
        this.#files.note("heartbeat", each.name, "not taken", "is disabled in Opsgenie");
        continue;
      }
      const every = spanMs({ timeAmount: each.interval ?? 10, timeUnit: each.intervalUnit });
      const severity = SEVERITIES[each.alertPriority ?? ""];
      const tags = each.alertTags.filter((tag) => /^[^\s,]{1,50}$/.test(tag)).slice(0, 20);
      if (tags.length < each.alertTags.length)
        this.#files.note("heartbeat", each.name, "changed", "has tags with spaces or commas, or more than 20");
      this.#team.add(project, "heartbeats", {
        ...{ name: project.nameFor("heartbeats", each.name), timeout: durationText(every), grace: "1m" },
        ...((each.description || each.alertMessage) && {
          description: (each.description || each.alertMessage || "").slice(0, 2000),
        }),
        ...{ ...(tags.length > 0 && { tags }), ...(severity && { severity }) },
      });
    }
  }

  #addMaintenance(): void {
    for (const { description, id, time, rules } of this.#old.maintenance) {
      const name = description || id;
      const span = { start: Date.parse(time?.startDate ?? ""), end: Date.parse(time?.endDate ?? "") };
      const ofIntegrations = rules.filter(({ entity, state }) => entity?.type === "integration" && state !== "enabled");
      if (
        ofIntegrations.length < rules.length ||
        rules.length === 0 ||
        !(span.end > this.#old.now && span.start < span.end)
      ) {
        this.#files.note("maintenance", name, "not taken", "is of a policy, or has no end: make a silence");
        continue;
      }
      for (const { entity } of ofIntegrations) {
        const old = this.#old.integrations.find((each) => each.id === entity?.id);
        const taken = old && this.#integrations.get(old.id);
        const matcher = { name: "integration", operator: "=", value: taken?.label ?? "" } as const;
        if (taken) this.#team.addSilence(taken.project, matcher, span, name);
        // Those of other teams are not asked for.
        else if (taken === null || !old)
          this.#files.note("maintenance", name, "not taken", `its integration ${old?.name ?? "?"} was not taken`);
      }
    }
  }
}

interface KnownOverride extends FileOverride {
  /** None: all. */
  readonly rotations: ReadonlySet<string | null>;
}

/** Integrations whose senders use the API of alerts. */
const API_TYPES = new Set(["api", "prometheus", "alertmanager", "lambda", "terraform", "default"]);
const PRESETS = new Map([
  ...["grafana", "zabbix", "datadog", "github", "gitlab", "sentry", "jenkins", "statuscake"].map(
    (name) => [name, name] as const,
  ),
  ...([
    ["email", "mail"],
    ["amazoncloudwatch", "cloudwatch"],
    ["cloudwatch", "cloudwatch"],
    ["amazonsns", "cloudwatch"],
    ["uptimerobot", "uptimerobot"],
  ] as const),
]);

/** P1 and P2 are urgent; null: the rule asks for more than the priority. */
function urgenciesOf(criteria: OpsgenieUser["rules"][number]["criteria"] | null): ("high" | "low")[] | null {
  if (!criteria || criteria.type === "match-all") return ["high", "low"];
  const { conditions } = criteria;
  if (conditions.some(({ field, operation, not }) => field !== "priority" || operation !== "equals" || not === true))
    return null;
  const urgent = conditions.filter(({ expectedValue }) => expectedValue === "P1" || expectedValue === "P2");
  return [
    ...(urgent.length > 0 ? ["high" as const] : []),
    ...(urgent.length < conditions.length ? ["low" as const] : []),
  ];
}

function nameOf(ref: OpsgenieRef | null): string {
  return ref?.name ?? ref?.username ?? ref?.id ?? "";
}

/** The override of some rotations replaces who is on call in them. */
function replacing(
  { name, timezone }: FileSchedule,
  shifts: readonly FileShift[],
  { start, end, users }: FileOverride,
): FileOverride[] {
  return finalShifts(rosterOfFile({ name, timezone, shifts }), start, end).flatMap((span) =>
    span.users.flatMap((replaces) =>
      users.includes(replaces) ? [] : [{ start: span.start, end: span.end, users, replaces }],
    ),
  );
}
