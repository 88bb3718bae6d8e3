import { instantOf } from "../../../core/time/clock.ts";
import { matcherText } from "../../../features/alerts/model/matchers.ts";
import { durationText } from "../../../http/api/file-form.ts";
import type { ImportedFiles } from "../files.ts";
import { zoneOf } from "../windows.ts";
import type { OldKuma } from "./read.ts";

/** Alternatives of names, as regular expressions of at most so many characters. */
const MAX_EXPRESSION = 3000;

/** Matchers for one of the names. */
export function anyOf(label: string, names: readonly string[]): readonly string[] {
  const [only] = names;
  if (names.length === 1 && only !== undefined) return [matcherText({ name: label, operator: "=", value: only })];
  const parts: string[] = [];
  for (const name of [...new Set(names)]) {
    const escaped = name.replace(/[\\.+*?()|[\]{}^$]/g, "\\$&");
    const last = parts.at(-1);
    if (last !== undefined && last.length + escaped.length < MAX_EXPRESSION)
      parts[parts.length - 1] = `${last}|${escaped}`;
    else parts.push(escaped);
  }
  return parts.map((value) => matcherText({ name: label, operator: "=~", value }));
}

/** Names of monitors by the label that their alerts have. */
export type Targets = (monitors: readonly number[]) => readonly (readonly [label: string, names: readonly string[]])[];

/** Silences in place of maintenance. */
export function silencesOf(old: OldKuma, targets: Targets, files: ImportedFiles): readonly object[] {
  const server = textSetting(old, "serverTimezone");
  return old.maintenance.flatMap((row) => {
    const { id, title, active, description } = row;
    const monitors = old.monitor_maintenance.filter(({ maintenance_id }) => maintenance_id === id);
    const zone = row.timezone && row.timezone !== "SAME_AS_SERVER" ? row.timezone : server;
    const timezone = zoneOf(zone);
    const times = timesOf(row, timezone);
    const taken = targets(monitors.map(({ monitor_id }) => monitor_id));
    if (!active || typeof times === "string" || taken.length === 0) {
      const none = monitors.length === 0 ? "it has no monitors" : "none of its monitors was taken";
      const why = typeof times === "string" ? times : active ? none : "it is switched off";
      files.note("maintenance", title, "not taken", `${why}; make it by prism silence`);
      return [];
    }
    if (zone !== timezone)
      files.note("maintenance", title, "changed", "its time zone is that of the old server: UTC is taken");
    files.count("silences");
    const comment = [title, description ?? ""].filter(Boolean).join(": ").slice(0, 4000);
    return taken
      .flatMap(([label, names]) => anyOf(label, names))
      .map((matcher) => ({ matchers: [matcher], ...times, comment }));
  });
}

/** @returns why there are none */
function timesOf(row: OldKuma["maintenance"][number], timezone: string): object | string {
  const { strategy, start_date, end_date, cron, duration, interval_day: days } = row;
  const startsAt = instantText(start_date, timezone);
  const endsAt = instantText(end_date, timezone);
  const range = { ...(startsAt && { startsAt }), ...(endsAt && { endsAt }) };
  if (strategy === "single") return startsAt && endsAt ? range : "it has no start or end";
  if (strategy === "manual") return "it lasts until a person ends it";
  if (strategy === "recurring-interval" && days !== 1) return `it recurs every ${days ?? "?"} days`;
  const pattern = (cron ?? "").trim().replace(/\s+/g, " ");
  if (!/^[-\d*/, ]+$/.test(pattern) || !duration || duration < 60) return "its pattern is not taken";
  return { ...range, recurrence: { cron: pattern, duration: durationText(duration * 1000), timezone } };
}

/** A time of the wall clock in the zone. */
function instantText(text: string | null | undefined, timezone: string): string | undefined {
  const wall = Date.parse(`${(text ?? "").replace(" ", "T").replace(/Z$/, "")}Z`);
  return Number.isNaN(wall) ? undefined : new Date(instantOf(wall, timezone)).toISOString();
}

function textSetting({ setting }: OldKuma, key: string): string | undefined {
  const value = setting.find((each) => each.key === key)?.value ?? "";
  return value.replace(/^"|"$/g, "") || undefined;
}
