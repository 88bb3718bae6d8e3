import { DAY_MS, isTimezone, MINUTE_MS } from "../../../core/time/clock.ts";
import { type Matcher, matcherText } from "../../../features/alerts/model/matchers.ts";
import { durationText } from "../../../http/api/file-form.ts";
import { ContactWays } from "../contact-ways.ts";
import { ImportedFiles } from "../files.ts";
import type { ApiImportOptions } from "../http-source.ts";
import type { FileOverride } from "../proof.ts";
import type { ReportRow } from "../report.ts";
import type { OldRoute } from "../routes.ts";
import { rotationForms } from "../schedules.ts";
import {
  type EscalationStep,
  type TakenSchedule,
  TeamFiles,
  type TeamPolicy,
  type TeamProject,
} from "../team-files.ts";
import { type ClockWindow, type OldRotation, zoneOf } from "../windows.ts";
import { alternativesOf } from "./conditions.ts";
import { flexibleForms, type PeopleOf } from "./flexible.ts";
import type {
  FlexibleSchedule,
  OldLayer,
  OldOrchestration,
  OldPagerDuty,
  OldService,
  PagerDutyRef,
  PagerDutySchedule,
  PagerDutyUser,
} from "./read.ts";

const MAX_LEVELS = 10;
const KEY = /^[A-Za-z0-9_-]{32}$/;
const WAYS: Readonly<Record<string, string>> = {
  ...{ email_contact_method: "email", push_notification_contact_method: "push" },
  ...{ phone_contact_method: "service", sms_contact_method: "service" },
};
const ROLES: Readonly<Record<string, "owner" | "editor" | "viewer">> = {
  ...{ manager: "owner", responder: "editor", observer: "viewer" },
};

/** The files of an account; the same account gives the same files. */
export function writePagerDuty(old: OldPagerDuty, options: ApiImportOptions): ImportedFiles {
  return new PagerDutyFiles(old, options).write();
}

interface ProjectRoutes {
  readonly rules: OldRoute[];
  /** What leads to nothing here, though it did. */
  readonly lost: (readonly Matcher[])[];
}

class PagerDutyFiles {
  readonly #old: OldPagerDuty;
  readonly #files = new ImportedFiles("pagerduty");
  readonly #team: TeamFiles;
  readonly #schedules = new Map<string, TakenSchedule>();
  readonly #policies = new Map<string, TeamPolicy>();
  readonly #routes = new Map<TeamProject, ProjectRoutes>();
  /** Where each service's alerts are; null: it is not taken. */
  readonly #services = new Map<string, { readonly project: TeamProject; readonly label: string } | null>();

  constructor(old: OldPagerDuty, options: ApiImportOptions) {
    this.#old = old;
    this.#team = new TeamFiles(this.#files, old, options);
  }

  write(): ImportedFiles {
    const { users, teams, schedules, escalations, services, orchestrations, missing } = this.#old;
    this.#team.noteMissing(missing);
    for (const user of users) this.#addUser(user);
    for (const { id, name, members } of teams) {
      const project = this.#team.projectOf("team", name, [id]);
      if (!project) continue;
      for (const { user, role } of members) {
        const username = this.#team.usernameOf(user.id);
        if (username !== undefined) project.members.set(username, ROLES[role ?? ""] ?? "editor");
        else this.#files.note("team", name, "not taken", `its member ${user.summary ?? user.id} is unknown`);
      }
    }
    for (const each of schedules) this.#addSchedule(each);
    for (const each of this.#old.flexible) this.#addFlexible(each);
    // Routers are asked before services: their rules see what is sent to a router.
    for (const each of orchestrations) this.#addOrchestration(each);
    for (const each of services) this.#addService(each);
    for (const { id, name, teams: of } of escalations) {
      if ([...this.#policies.keys()].some((key) => key.includes(` ${id} `))) continue;
      const project = this.#team.projectOf("escalation policy", name, idsOf(of));
      if (!project) continue;
      this.#policyFor(project, id, {});
      this.#files.note("escalation policy", name, "changed", "is of no service: no route leads to it");
    }
    for (const [project, { rules, lost }] of this.#routes) this.#team.addRoutes(project, rules, lost);
    this.#addMaintenance();
    return this.#team.write();
  }

  #addUser({
    id,
    name,
    email,
    time_zone: timezone,
    contact_methods: methods,
    notification_rules: rules,
  }: PagerDutyUser) {
    const rows: ReportRow[] = [];
    const note = (kind: string, outcome: ReportRow["outcome"], text: string) =>
      rows.push({ kind, name: name ?? id, outcome, text });
    const ways = new ContactWays();
    for (const { start_delay_in_minutes: minutes, urgency, contact_method: method, type } of rules) {
      const way =
        WAYS[methods.find((each) => each.id === method?.id)?.type ?? method?.type?.replace(/_reference$/, "") ?? ""];
      if (type !== null && !type.startsWith("assignment_")) continue;
      if (way === undefined)
        note("notification rule", "not taken", `uses ${method?.summary ?? method?.type ?? "an unknown way"}`);
      else ways.add(urgency === "low" ? "low" : "high", (minutes ?? 0) * MINUTE_MS, way);
    }
    const phone = methods.find(({ type }) => /^(phone|sms)_/.test(type ?? ""));
    const digits = `${phone?.country_code ?? "1"}${phone?.address ?? ""}`.replace(/\D/g, "");
    if (ways.hasService) note("person", "to do", "was called or got SMS: adds a channel for it in Prism");
    const person = {
      ...{ id, email, name, timezone },
      phone: phone && /^[1-9]\d{6,14}$/.test(digits) ? `+${digits}` : null,
      contactRules: ways.document((text) => note("person", "changed", text)),
    };
    this.#team.addPerson(person, rows);
  }

  #addSchedule(schedule: PagerDutySchedule): void {
    const { id, name, teams, schedule_layers: layers, final_schedule: final, isShown } = schedule;
    const project = this.#team.projectOf("schedule", name, idsOf(teams));
    if (!project) return;
    for (const { start, end, user } of schedule.overrides)
      if (!this.#isKnown(user) && Date.parse(end) > this.#old.now)
        this.#files.note(
          ...(["override", name, "not taken"] as const),
          `from ${start} to ${end} is of ${user?.summary ?? "nobody"}, who is unknown`,
        );
    const timezone = zoneOf(schedule.time_zone);
    const rotations = layers.map((layer, at) => this.#rotationOf(layer, layers.length - 1 - at));
    const olds = rotations.filter((each) => each !== null);
    const isWhole = olds.length === rotations.length && layers.length <= MAX_LEVELS && isShown;
    if (isShown && !isWhole)
      this.#files.note("schedule", name, "not taken", "has a deleted person, or more than 10 layers, or other turns");
    const entries = final?.rendered_schedule_entries ?? [];
    const taken = this.#team.addSchedule(project, {
      ...{ name, timezone, shownTo: this.#old.shownTo },
      old: isShown && final !== null ? entries.map((each) => this.#spanOf(each)) : null,
      forms: (own) => (isWhole ? rotationForms(own, olds, { timezone, now: this.#old.now }) : []),
      overrides: () =>
        schedule.overrides.flatMap((each): FileOverride[] => (this.#isKnown(each.user) ? [this.#spanOf(each)] : [])),
      calendar: () => this.#calendarOf(schedule),
    });
    this.#schedules.set(id, taken);
  }

  /** A schedule of the API v3. */
  #addFlexible(schedule: FlexibleSchedule): void {
    const { id, name, teams, final_schedule: final, overrides } = schedule;
    const timezone = zoneOf(schedule.time_zone);
    const project = this.#team.projectOf("schedule", name, idsOf(teams));
    if (!project) return;
    const peopleOf: PeopleOf = ({ type, user_id: user }) => {
      const known = this.#team.usernameOf(user);
      return type === "empty_member" ? [] : known === undefined ? null : [known];
    };
    const spanOf = (each: { readonly start_time: string; readonly end_time: string }) => ({
      ...{ start: Date.parse(each.start_time), end: Date.parse(each.end_time) },
    });
    const known = overrides.flatMap((each): FileOverride[] => {
      const [[replaces] = [], users] = [peopleOf(each.overridden_member) ?? [], peopleOf(each.overriding_member)];
      if (replaces !== undefined && users?.length) return [{ ...spanOf(each), users, replaces }];
      const text = `from ${each.start_time} to ${each.end_time} is of someone unknown, or of nobody`;
      this.#files.note("override", name, "not taken", text);
      return [];
    });
    const old = final?.computed_shift_assignments.map((each) => ({
      ...{ ...spanOf(each), users: peopleOf(each.member) ?? [`a deleted person ${each.member.user_id ?? ""}`.trim()] },
    }));
    const taken = this.#team.addSchedule(project, {
      ...{ name, timezone, shownTo: this.#old.shownTo, old: old ?? null },
      forms: (own) => flexibleForms(own, { ...schedule, time_zone: timezone }, peopleOf),
      overrides: () => known,
      calendar: () => this.#calendarOf(schedule),
    });
    this.#schedules.set(id, taken);
  }

  #calendarOf({ name, http_cal_url: url }: { readonly name: string; readonly http_cal_url: string | null }) {
    return url === null
      ? this.#files.toFill(`PagerDuty, ${name}: the address of its iCalendar feed`, "calendar", name)
      : this.#files.secret(url, "calendar", name);
  }

  #isKnown(user: PagerDutyRef | null): boolean {
    return this.#team.usernameOf(user?.id) !== undefined;
  }

  #spanOf({ start, end, user }: { readonly start: string; readonly end: string; readonly user: PagerDutyRef | null }) {
    // Who is not known differs from everyone in the files.
    const users = [this.#team.usernameOf(user?.id) ?? `a deleted person ${user?.summary ?? ""}`.trim()];
    return { start: Date.parse(start), end: Date.parse(end), users };
  }

  /** Null: it has no form here. */
  #rotationOf(layer: OldLayer, level: number): OldRotation | null {
    const users = layer.users.map(({ user }) => this.#team.usernameOf(user?.id));
    const [handover, from] = [Date.parse(layer.rotation_virtual_start), Date.parse(layer.start)];
    const until = Date.parse(layer.end ?? "");
    const windows = layer.restrictions.map(windowOf);
    if (users.includes(undefined) || windows.includes(null) || Number.isNaN(handover + from)) return null;
    return {
      ...{ name: layer.name ?? `Layer ${level + 1}`, level, handover, from, windows: windows as ClockWindow[] },
      ...{ turnMs: layer.rotation_turn_length_seconds * 1000, turns: users.map((user) => [user as string]) },
      ...(!Number.isNaN(until) && { until }),
    };
  }

  /** The policy of an escalation policy in a project; one for each setting of its services. */
  #policyFor(project: TeamProject, id: string, { urgency, times = {} }: PolicySettings): TeamPolicy | null {
    const key = `${project.slug} ${id} ${urgency ?? "high"} ${JSON.stringify(times)}`;
    const known = this.#policies.get(key);
    if (known) return known;
    const old = this.#old.escalations.find((each) => each.id === id);
    if (!old) return null;
    const isFirst = ![...this.#policies.keys()].some((each) => each.includes(` ${id} `));
    const steps: EscalationStep[] = [];
    let atMs = 0;
    let delayMs = 0;
    for (const rule of old.escalation_rules) {
      const strategy = rule.escalation_rule_assignment_strategy;
      const roundRobin = (typeof strategy === "string" ? strategy : strategy?.type) === "round_robin";
      const users: string[] = [];
      const schedules: EscalationStep["schedules"][number][] = [];
      for (const target of rule.targets) {
        const [user, schedule] = [this.#team.usernameOf(target.id), this.#schedules.get(target.id)];
        if (schedule) schedules.push({ schedule });
        else if (user !== undefined) users.push(user);
        else if (isFirst)
          this.#files.note("escalation policy", old.name, "not taken", `its target ${target.summary ?? target.id}`);
      }
      if (users.length + schedules.length > 0)
        steps.push({ atMs, users: [...new Set(users)], schedules, ...(roundRobin && { roundRobin }) });
      delayMs = (rule.escalation_delay_in_minutes ?? 30) * MINUTE_MS;
      atMs += delayMs;
    }
    const name = urgency === "low" ? `${old.name} (low urgency)` : old.name;
    const policy = this.#team.addPolicy(project, name, steps, {
      ...(old.description && { description: old.description.slice(0, 1000) }),
      ...{ ...(urgency && { urgency }), ...times, lastWaitMs: delayMs, repeat: old.num_loops ?? 0 },
    });
    this.#policies.set(key, policy);
    return policy;
  }

  #routesOf(project: TeamProject): ProjectRoutes {
    const known = this.#routes.get(project);
    if (known) return known;
    const made: ProjectRoutes = { rules: [], lost: [] };
    this.#routes.set(project, made);
    return made;
  }

  #addService(service: OldService): void {
    const project = this.#team.projectOf("service", service.name, this.#teamsOf(service));
    if (!project) return;
    this.#services.set(service.id, null);
    if (service.status === "disabled")
      return this.#files.note("service", service.name, "not taken", "is disabled in PagerDuty");
    const label = project.nameFor("services", service.name);
    this.#services.set(service.id, { project, label });
    this.#addRules(project, label, service, [[{ name: "service", operator: "=", value: label }]]);
    this.#files.count("services");
    if (service.hasRules)
      this.#files.note("service", service.name, "not taken", "has event rules of its own: write rules or routes");
    if (service.alert_grouping_parameters?.type)
      this.#files.note("service", service.name, "changed", "groups alerts in PagerDuty; set groupBy of its route");
    for (const each of service.integrations) {
      const name = `${service.name}: ${each.name ?? each.summary ?? each.type ?? "integration"}`;
      const labels = { service: label };
      const address = each.integration_email;
      if (/^(events_api_v2|generic_events_api)_inbound/.test(each.type ?? "")) {
        const own = project.nameFor("integrations", name);
        this.#addKey(project, own, labels, each.integration_key);
      } else if (/^generic_email_inbound/.test(each.type ?? "")) {
        const own = project.nameFor("receivers", name);
        this.#team.add(project, "receivers", { name: own, preset: "mail", labels });
        this.#files.note("integration", name, "to do", `gets a new mail address in place of ${address ?? "its own"}`);
      } else
        this.#files.note(
          "integration",
          name,
          "not taken",
          `has the type ${each.type}: make a receiver, and change it by hand`,
        );
    }
  }

  #teamsOf({ teams, escalation_policy: of }: OldService): readonly string[] {
    return idsOf(teams.length > 0 ? teams : (this.#old.escalations.find(({ id }) => id === of?.id)?.teams ?? []));
  }

  #addKey(project: TeamProject, name: string, labels: object, given: string | null): void {
    const words = [project.slug, name, "key"];
    const isShown = given !== null && KEY.test(given);
    const key = isShown
      ? this.#files.secret(given, ...words)
      : this.#files.toFill(`PagerDuty, ${name}: its integration key`, ...words);
    if (!isShown) this.#files.note("integration", name, "to do", `its key is not shown: write it as ${key.env}`);
    this.#team.add(project, "integrations", { kind: "pagerduty", name, labels, key });
    this.#files.note("sender", name, "to do", "change the host of its events by hand, where it can be set");
  }

  /** The routes of a service: by support hours and by severity they have other urgencies. */
  #addRules(project: TeamProject, name: string, service: OldService, alternatives: readonly (readonly Matcher[])[]) {
    const routes = this.#routesOf(project);
    const { auto_resolve_timeout: resolves, acknowledgement_timeout: expires } = service;
    const times = {
      ...(resolves !== null && resolves >= 60 && { autoResolve: durationText(resolves * 1000) }),
      ...(expires !== null && expires >= 60 && { ackExpires: durationText(expires * 1000) }),
    };
    const add = (matchers: OldRoute["alternatives"], urgency: "low" | undefined, hours: Hours): void => {
      const policy = this.#policyFor(project, service.escalation_policy?.id ?? "", {
        ...(urgency && { urgency }),
        times,
      });
      if (!policy) {
        routes.lost.push(...matchers);
        return this.#files.note(
          "service",
          service.name,
          "not taken",
          "its escalation policy was not taken; write a route",
        );
      }
      routes.rules.push({ name, alternatives: matchers, ...hours, policy: policy.name });
    };
    const byUrgency = (urgency: string | null | undefined, hours: Hours) => {
      if (urgency !== "severity_based") return add(alternatives, urgency === "low" ? "low" : undefined, hours);
      const urgent: Matcher = { name: "severity", operator: "=~", value: "critical|error" };
      add(
        alternatives.map((each) => [...each, urgent]),
        undefined,
        hours,
      );
      add(alternatives, "low", hours);
    };
    const always = { windows: [], timezone: "UTC" };
    const rule = service.incident_urgency_rule;
    if (rule?.type !== "use_support_hours") return byUrgency(rule?.urgency, always);
    const hours = supportHours(service.support_hours);
    if (hours === null) {
      // Its urgency is not known: the route is not guessed.
      routes.lost.push(...alternatives);
      project.comments.push("", `The routes of ${name}, in its support hours and outside of them:`);
      for (const each of alternatives)
        project.comments.push(`  - { matchers: ${JSON.stringify(each.map(matcherText))}, policy: }`);
      return this.#files.note(
        "route",
        name,
        "not taken",
        "has support hours of another form: write both of its routes",
      );
    }
    byUrgency(rule.during_support_hours?.urgency, hours);
    byUrgency(rule.outside_support_hours?.urgency, always);
    this.#files.note(
      ...(["route", name, "changed"] as const),
      "an alert that still fires when its support hours begin or end is then routed again",
    );
  }

  #addOrchestration({ name, team, router, keys, hasRules }: OldOrchestration): void {
    const project = this.#team.projectOf("event orchestration", name, [team?.id]);
    if (!project) return;
    if (hasRules)
      this.#files.note("event orchestration", name, "not taken", "has rules for all events: write rules of Prism");
    const own = project.nameFor("orchestrations", name);
    const label: Matcher = { name: "orchestration", operator: "=", value: own };
    const routes = this.#routesOf(project);
    const leadTo = (service: string | null | undefined, title: string, alternatives: OldRoute["alternatives"]) => {
      const of = this.#old.services.find((each) => each.id === service);
      if (of) return this.#addRules(project, title, of, alternatives);
      if (service !== "unrouted") {
        routes.lost.push(...alternatives);
        return this.#files.note("event rule", title, "not taken", "leads to a service that was not taken");
      }
      const policy = this.#team.nobodyOf(project);
      routes.rules.push({ name: title, alternatives, windows: [], timezone: "UTC", policy: policy.name });
    };
    const first = router.sets.find((set) => set.id === "start") ?? router.sets[0];
    for (const [at, rule] of (first?.rules ?? []).entries()) {
      const title = `${own}: ${rule.label ?? `rule ${at + 1}`}`;
      if (rule.disabled === true) continue;
      const found = alternativesOf(rule.conditions.map(({ expression }) => expression));
      if (found)
        leadTo(
          rule.actions?.route_to,
          title,
          found.map((each) => [label, ...each]),
        );
      else {
        routes.lost.push([label]);
        const text = rule.conditions.map(({ expression }) => expression).join("; ");
        this.#files.note("event rule", title, "not taken", `has no route for: ${text.slice(0, 500)}`);
      }
    }
    leadTo(router.catch_all?.actions?.route_to ?? "unrouted", `${own}: all others`, [[label]]);
    for (const [at, { label: text, parameters }] of keys.entries()) {
      const integration = project.nameFor("integrations", `${name}: ${text ?? `key ${at + 1}`}`);
      this.#addKey(project, integration, { orchestration: own }, parameters?.routing_key ?? null);
    }
  }

  #addMaintenance(): void {
    for (const { id, description, summary, start_time, end_time, services } of this.#old.maintenance) {
      const name = description || summary || id;
      const span = { start: Date.parse(start_time), end: Date.parse(end_time) };
      if (span.end <= this.#old.now) continue;
      for (const { id: service, summary: of } of services) {
        const taken = this.#services.get(service);
        const matcher = { name: "service", operator: "=", value: taken?.label ?? "" } as const;
        if (taken && span.start < span.end) this.#team.addSilence(taken.project, matcher, span, name);
        // Those of other teams are not asked for.
        else if (taken !== undefined || !this.#old.services.some((each) => each.id === service))
          this.#files.note("maintenance window", name, "not taken", `its service ${of ?? service} was not taken`);
      }
    }
  }
}

interface PolicySettings {
  readonly urgency?: "low";
  readonly times?: { readonly autoResolve?: string; readonly ackExpires?: string };
}

type Hours = Pick<OldRoute, "windows" | "timezone">;

function idsOf(refs: readonly PagerDutyRef[]): readonly string[] {
  return refs.map(({ id }) => id);
}

/** Milliseconds of `17:30:00`; null: it is none. */
function timeOf(text: string | null | undefined): number | null {
  const [, hours, minutes, seconds = "0"] = /^(\d\d):(\d\d)(?::(\d\d))?/.exec(text ?? "") ?? [];
  return hours === undefined ? null : (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1000;
}

function windowOf(restriction: OldLayer["restrictions"][number]): ClockWindow | null {
  const { type, start_time_of_day: start, duration_seconds: seconds, start_day_of_week: day } = restriction;
  const startMs = timeOf(start);
  const isDaily = type === "daily_restriction";
  if (startMs === null || !(seconds > 0) || (!isDaily && (day === null || day < 1 || day > 7))) return null;
  return { day: isDaily ? null : (day ?? 1) - 1, startMs, durationMs: seconds * 1000 };
}

/** Null: their form or their zone is not known. */
function supportHours(hours: OldService["support_hours"]): Hours | null {
  const [start, end, timezone] = [timeOf(hours?.start_time), timeOf(hours?.end_time), hours?.time_zone ?? ""];
  if (!hours || start === null || end === null || hours.days_of_week.length === 0 || !isTimezone(timezone)) return null;
  if (hours.days_of_week.some((day) => !Number.isInteger(day) || day < 0 || day > 7)) return null;
  const durationMs = end > start ? end - start : end - start + DAY_MS;
  const windows = hours.days_of_week.map((day) => ({ day: (day + 6) % 7, startMs: start, durationMs }));
  return { windows, timezone };
}
