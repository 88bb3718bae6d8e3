import * as v from "valibot";
import { isTimezone } from "../../../core/time/clock.ts";
import { listing, within } from "../../../http/api/listing.ts";
import { column, computed, json, type RowOf, resource, stored, time } from "../../../http/api/resource.ts";
import { doc, integer, object, openObject, pattern, text } from "../../../http/api/shapes.ts";

declare module "../../../store/schema.ts" {
  interface Schema {
    projects: StoredProject;
  }
}

export const PROJECT_ROLES = ["owner", "editor", "viewer"] as const;

const timezone = doc(
  v.pipe(v.string("must be a string"), v.check(isTimezone, "must be an IANA time zone such as Europe/Berlin")),
  "IANA time zone",
);

function isWebUrl(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, username, password } = new URL(url);
  return /^https?:$/.test(protocol) && username === "" && password === "";
}

/** The systems that a mirror project runs beside. */
const MIRRORED_SYSTEMS = [
  ...(["oncall", "opsgenie", "pagerduty", "alertmanager"] as const),
  ...(["uptime-kuma", "healthchecks", "ntfy", "gotify", "other"] as const),
] as const;
/** A project beside the system in use: everything runs, and nothing leaves (docs/mirror.md). */
const Mirror = object({
  from: doc(v.picklist(MIRRORED_SYSTEMS), "The system that still notifies people"),
  url: v.optional(
    doc(v.pipe(text(2000, 1), v.check(isWebUrl, "must be an http or https URL without a login")), "Its web page"),
  ),
});

const WEEKLY = /^(mon|tue|wed|thu|fri|sat|sun) ([01]\d|2[0-3]):[0-5]\d$/;
const Digest = object({
  timezone: v.optional(timezone),
  daily: v.optional(doc(v.boolean(), "Default: true")),
  weekly: v.optional(
    doc(pattern(WEEKLY, "must be a day and time such as `mon 09:00`"), "When the weekly report is sent: `mon 09:00`"),
  ),
});

/** Other members are the owners' own and kept. A member that is null is none, or removed. */
export const ProjectSettings = openObject({
  alertThreshold: v.nullish(doc(integer(1, 1_000_000), "Number of errors in the window that alerts the members")),
  retentionDays: v.nullish(doc(integer(1, 3650), "Days that events are kept")),
  emailAlerts: v.nullish(doc(v.boolean(), "Whether alerts are also sent by email")),
  digest: v.nullish(
    doc(
      v.union([v.boolean(), Digest], "must be true, false or an object with timezone, weekly or daily"),
      "Digests for the members; true: the daily one",
    ),
  ),
  mirror: v.nullish(doc(Mirror, "The project runs beside another system: nothing leaves it (docs/mirror.md)")),
});
export type ProjectSettings = v.InferOutput<typeof ProjectSettings>;

export const Project = resource("Project", "A project", "projects", () => ({
  id: stored(v.string()),
  slug: stored(v.string()),
  name: stored(v.string()),
  role: computed(v.nullable(v.picklist(PROJECT_ROLES))),
  ownerId: stored(v.nullable(v.string())),
  settings: stored(ProjectSettings, json<ProjectSettings>()),
  version: stored(v.number()).or(1),
  createdAt: stored(v.string(), time),
  updatedAt: column(v.number()),
  deletedAt: column(v.nullable(v.number())).or(null),
  /** Its limit of stored bytes, which the operator sets; null: that of the settings. */
  storageBytes: column(v.nullable(v.number())).or(null),
}));
export type StoredProject = RowOf<typeof Project>;

export const projectList = listing(Project, () => ({
  q: within(["name", "slug"], text(100), "Part of the name or slug"),
}));
