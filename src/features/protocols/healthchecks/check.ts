import { PrismError } from "../../../core/errors.ts";
import { type EpochMs, isTimezone, toRfc3339 } from "../../../core/time/clock.ts";
import { type HeartbeatsContext, kindOfSchedule, slugOf, urlsOf } from "../../heartbeats/changes.ts";
import {
  Heartbeat,
  type HeartbeatDefinition,
  type HeartbeatRow,
  type PingFilters,
} from "../../heartbeats/heartbeat.ts";
import { expectedAt } from "../../heartbeats/status.ts";

// A check of the management API of Healthchecks: its members in requests, where unknown ones are
// ignored, and in answers. The texts of errors are those of Healthchecks.

/** The caller's rights and options for an answer. */
interface Viewer {
  readonly isWriter: boolean;
  readonly version: number;
}

/** A policy, as the API's channel. */
export interface KnownChannel {
  readonly id: string;
  readonly name: string;
}

type Body = Readonly<Record<string, unknown>>;

const UNIQUE = ["name", "slug", "tags", "timeout", "grace"] as const;
export type UniqueMember = (typeof UNIQUE)[number];

const MAX_SECONDS = 31_536_000;
const MIN_SECONDS = 60;
/** The member of a request for each keyword list; `subject` and `subject_fail` are older names. */
const KEYWORDS = [
  ["subject", "successKeywords"],
  ["subject_fail", "failureKeywords"],
  ["start_kw", "startKeywords"],
  ["success_kw", "successKeywords"],
  ["failure_kw", "failureKeywords"],
] as const;
const SWITCHES = [
  ["filter_subject", "subject"],
  ["filter_body", "body"],
  ["filter_http_body", "httpBody"],
  ["filter_default_fail", "defaultFail"],
] as const;

/** A refusal with the text of Healthchecks. */
export function refused(message: string): PrismError {
  return new PrismError("VALIDATION_FAILED", message);
}

function invalid(member: string, problem: string): PrismError {
  return refused(`json validation error: ${member} ${problem}`);
}

/**
 * The columns of a request. @param version 3 has `slug`; before, it follows the name. @param filters
 * those of the check so far
 */
export function definitionOf(body: Body, version: number, filters: PingFilters, channels: readonly KnownChannel[]) {
  const name = textOf(body, "name", 100);
  const slug = version === 3 ? textOf(body, "slug", 100) : undefined;
  if (slug !== undefined && !/^[a-z0-9_-]*$/.test(slug)) throw invalid("slug", "does not match pattern");
  const timeout = secondsOf(body, "timeout");
  const grace = secondsOf(body, "grace");
  const isManual = switchOf(body, "manual_resume");
  const methods = textOf(body, "methods", 100);
  if (methods !== undefined && methods !== "" && methods !== "POST") throw invalid("methods", "has unexpected value");
  const definition: { -readonly [K in keyof HeartbeatDefinition]?: HeartbeatDefinition[K] } = {
    ...planOf(body, timeout),
  };
  if (name !== undefined) definition.name = name;
  if (slug !== undefined) definition.slug = slug;
  else if (name !== undefined && version < 3) definition.slug = slugOf(name);
  const tags = textOf(body, "tags", 500);
  if (tags !== undefined) definition.tags = tags.split(/\s+/).filter(Boolean).join(" ");
  const description = textOf(body, "desc", 10_000);
  if (description !== undefined) definition.description = description;
  if (grace !== undefined) definition.graceMs = grace * 1000;
  if (methods !== undefined) definition.methods = methods;
  if (isManual !== undefined) definition.manualResume = isManual ? 1 : 0;
  const changed = filtersOf(body, filters);
  if (changed) definition.filters = JSON.stringify(changed);
  const assigned = channelsOf(textOf(body, "channels", 10_000), channels);
  if (assigned) definition.channels = JSON.stringify(assigned);
  return definition;
}

/** With a schedule the time-out is ignored. */
function planOf(body: Body, timeout: number | undefined): HeartbeatDefinition {
  const schedule = textOf(body, "schedule", 100);
  const timezone = textOf(body, "tz", 36);
  if (timezone !== undefined && !isTimezone(timezone)) throw invalid("tz", "is not a valid timezone");
  const zone = timezone === undefined ? {} : { timezone };
  if (schedule === undefined) return timeout === undefined ? zone : { ...zone, ...simple(timeout) };
  const given = steppedCron(schedule);
  try {
    return { ...zone, kind: kindOfSchedule(given), schedule: given };
  } catch {
    throw invalid("schedule", "is not a valid cron or OnCalendar expression");
  }
}

/** The last value of each field of a cron pattern. */
const LAST = [59, 23, 31, 12, 6];

/** `10/20` means every 20 from 10 on, which is written `10-59/20` here. */
function steppedCron(schedule: string): string {
  const fields = schedule.trim().split(/\s+/);
  if (fields.length !== LAST.length) return schedule;
  const stepped = fields.map((field, at) => field.replaceAll(/(?<=^|,)(\d+)\/(?=\d)/g, `$1-${LAST[at]}/`));
  return stepped.join(" ") === fields.join(" ") ? schedule : stepped.join(" ");
}

function simple(timeout: number): HeartbeatDefinition {
  return { kind: "simple", schedule: null, timeoutMs: timeout * 1000 };
}

/** @returns undefined if the request changes none */
function filtersOf(body: Body, before: PingFilters): PingFilters | undefined {
  const filters: Record<string, string | boolean | undefined> = { ...before };
  let isChanged = false;
  for (const [member, key] of KEYWORDS) {
    const value = textOf(body, member, 200);
    if (value === undefined) continue;
    filters[key] = value;
    isChanged = true;
  }
  for (const [member, key] of SWITCHES) {
    const value = switchOf(body, member);
    if (value === undefined) continue;
    filters[key] = value;
    isChanged = true;
  }
  return isChanged ? filters : undefined;
}

/** Names of policies: "" for none, "*" for all, or ids and names separated by commas. */
function channelsOf(text: string | undefined, known: readonly KnownChannel[]): string[] | undefined {
  if (text === undefined) return undefined;
  if (text === "") return [];
  if (text === "*") return known.map(({ name }) => name);
  return text.split(",").map((part) => {
    const identifier = part.trim();
    if (identifier === "") throw refused("empty channel identifier");
    const found = known.filter(({ id, name }) => id === identifier || name === identifier);
    const [channel] = found;
    if (!channel) throw refused(`invalid channel identifier: ${identifier}`);
    if (found.length > 1) throw refused(`non-unique channel identifier: ${identifier}`);
    return channel.name;
  });
}

/** The members in which an existing check must be equal to be updated. */
export function uniqueOf(body: Body): readonly UniqueMember[] {
  const unique = body["unique"];
  if (unique === undefined) return [];
  if (!Array.isArray(unique)) throw invalid("unique", "is not an array");
  return unique.map((member: unknown) => {
    const found = UNIQUE.find((each) => each === member);
    if (found === undefined) throw invalid("unique", "has unexpected value");
    return found;
  });
}

function textOf(body: Body, member: string, maxLength: number): string | undefined {
  const value = body[member];
  if (value === undefined) return undefined;
  if (typeof value !== "string") throw invalid(member, "is not a string");
  if (value.length > maxLength) throw invalid(member, "is too long");
  return value;
}

function switchOf(body: Body, member: string): boolean | undefined {
  const value = body[member];
  if (value === undefined || typeof value === "boolean") return value;
  throw invalid(member, "is not a boolean");
}

function secondsOf(body: Body, member: string): number | undefined {
  const value = body[member];
  if (value === undefined) return undefined;
  if (typeof value !== "number" || !Number.isInteger(value)) throw invalid(member, "is not a number");
  if (value < MIN_SECONDS) throw invalid(member, "is too small");
  if (value > MAX_SECONDS) throw invalid(member, "is too large");
  return value;
}

/** A check as callers see it; readers do not see its ping URL. */
export function checkView(
  context: Pick<HeartbeatsContext, "heartbeats" | "publicUrl">,
  row: HeartbeatRow,
  { isWriter, version }: Viewer,
  channels: readonly KnownChannel[],
) {
  const filters = Heartbeat.value(row, "filters");
  const { uuid, pingUrl, badgeUrl } = urlsOf(context, row, isWriter);
  const status = context.heartbeats.shownOf(row);
  const isStarted = row.lastStartAt !== null;
  const update = uuid && `${context.publicUrl()}/healthchecks/api/v${version}/checks/${uuid}`;
  const assigned = Heartbeat.value(row, "channels");
  const ids = channels.filter(({ name }) => assigned.includes(name)).map(({ id }) => id);
  return {
    name: row.name,
    slug: row.slug,
    tags: row.tags,
    desc: row.description,
    grace: Math.round(row.graceMs / 1000),
    n_pings: row.pingCount,
    status: version === 1 && isStarted && status !== "down" ? "started" : status,
    started: isStarted,
    last_ping: timeOrNull(row.lastPingAt),
    next_ping: timeOrNull(expectedAt(row, row)),
    manual_resume: row.manualResume === 1,
    methods: row.methods,
    subject: filters.subject ? (filters.successKeywords ?? "") : "",
    subject_fail: filters.subject ? (filters.failureKeywords ?? "") : "",
    start_kw: filters.startKeywords ?? "",
    success_kw: filters.successKeywords ?? "",
    failure_kw: filters.failureKeywords ?? "",
    filter_subject: filters.subject === true,
    filter_body: filters.body === true,
    filter_http_body: filters.httpBody === true,
    filter_default_fail: filters.defaultFail === true,
    badge_url: badgeUrl,
    ...(row.lastDurationMs === null ? {} : { last_duration: Math.round(row.lastDurationMs / 1000) }),
    ...(isWriter
      ? {
          uuid,
          ping_url: pingUrl,
          update_url: update,
          pause_url: update && `${update}/pause`,
          resume_url: update && `${update}/resume`,
          channels: ids.join(","),
        }
      : { unique_key: row.uniqueKey }),
    ...(row.kind === "simple"
      ? { timeout: Math.round(row.timeoutMs / 1000) }
      : { schedule: row.schedule, tz: row.timezone }),
  };
}

export function timeOf(at: EpochMs): string {
  return `${toRfc3339(at).slice(0, 19)}+00:00`;
}

function timeOrNull(at: EpochMs | null): string | null {
  return at === null ? null : timeOf(at);
}
