import { createHash } from "node:crypto";
import { DAY_MS, type EpochMs, toRfc3339, toRfc3339OrNull } from "../../core/time/clock.ts";
import type { Database } from "../../store/database.ts";
import type { ComponentState } from "../../store/schema.ts";
import type { SilenceAt } from "../alerts/index.ts";
import type { NoticeState } from "./notice.ts";
import type { LivePage, StatusPages } from "./pages.ts";
import { type Change, type DayFacts, dayFacts, disturbances, lastDays, uptimeOf, worst } from "./state.ts";
import { changesOf, type PostedNotice, shownNotices, stateOfNotice } from "./table.ts";

/** The annotation of a maintenance silence that the page shows; its comment stays private. */
const PUBLIC_TEXT = "status_page";
/** How far ahead maintenance is announced. */
const AHEAD_MS = 30 * DAY_MS;
const MAX_NOTICES = 50;
const MAX_WINDOWS = 20;

export interface PublicParts {
  readonly db: Database;
  readonly statusPages: StatusPages;
  /** Maintenance windows of the project's silences. */
  readonly maintenanceOf: (projectId: string, now: EpochMs) => readonly SilenceAt[];
}

export interface PublicComponent {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly state: ComponentState;
  /** When the state began; null: it has no history yet. */
  readonly since: string | null;
  readonly uptime: number | null;
  readonly days: readonly DayFacts[];
  /** Disturbances within the days, newest first. */
  readonly disturbances: readonly {
    readonly from: string;
    readonly to: string | null;
    readonly state: ComponentState;
  }[];
}

export interface PublicNotice {
  readonly id: string;
  readonly kind: "incident" | "maintenance";
  readonly title: string;
  readonly state: NoticeState;
  /** Names. */
  readonly components: readonly string[];
  readonly startsAt: string;
  readonly endsAt: string | null;
  readonly resolvedAt: string | null;
  readonly updates: readonly { readonly at: string; readonly state: NoticeState; readonly text: string }[];
}

export interface PublicWindow {
  readonly title: string;
  readonly state: "scheduled" | "in_progress";
  readonly startsAt: string;
  readonly endsAt: string;
}

/** All that visitors may know: texts that operators wrote for them, states and times. */
export interface PublicPage {
  readonly title: string;
  readonly description: string;
  readonly timezone: string;
  readonly state: ComponentState;
  readonly groups: readonly { readonly name: string; readonly components: readonly PublicComponent[] }[];
  readonly current: readonly PublicNotice[];
  readonly planned: readonly PublicNotice[];
  readonly past: readonly PublicNotice[];
  readonly maintenance: readonly PublicWindow[];
  readonly showsIncidents: boolean;
  readonly hasSubscriptions: boolean;
}

export async function publicPage(
  parts: PublicParts,
  projectId: string,
  page: LivePage,
  options: { readonly now: EpochMs; readonly canSubscribe: boolean },
): Promise<PublicPage> {
  const { document } = page;
  const { now } = options;
  const [changes, notices] = [
    await changesOf(parts.db.read, projectId),
    await shownNotices(parts.db.read, projectId, MAX_NOTICES),
  ];
  const states = parts.statusPages.statesOf(projectId);
  const groups = document.groups.map(({ name, components }) => ({
    name,
    components: components.map((component) => {
      const id = component.id ?? "";
      return publicComponent(page, component, states.get(id) ?? "operational", changes.get(id) ?? [], now);
    }),
  }));
  const names = new Map(groups.flatMap(({ components }) => components).map(({ id, name }) => [id, name]));
  const { current, planned, past } = sorted(notices, names, document, now);
  return {
    title: document.title,
    description: document.description,
    timezone: document.timezone,
    state: worst(states.values()),
    groups,
    current,
    planned,
    past,
    maintenance: document.showMaintenance ? windowsOf(shownSilences(parts, page, now), now) : [],
    showsIncidents: document.showIncidents,
    hasSubscriptions: document.subscriptions && options.canSubscribe,
  };
}

function publicComponent(
  { document }: LivePage,
  { id = "", name, description = "" }: LivePage["document"]["groups"][number]["components"][number],
  state: ComponentState,
  changes: readonly Change[],
  now: EpochMs,
): PublicComponent {
  const days = lastDays(document.historyDays, document.timezone, now);
  const facts = days.map((day) => dayFacts(changes, day, now));
  const first = days[0]?.from ?? now;
  const shown = document.showIncidents ? disturbances(changes).filter(({ to }) => to === null || to > first) : [];
  return {
    id,
    name,
    description,
    state,
    since: toRfc3339OrNull(changes.at(-1)?.at ?? null),
    uptime: uptimeOf(facts),
    days: facts,
    disturbances: shown
      .map(({ from, to, state: found }) => ({ from: toRfc3339(from), to: toRfc3339OrNull(to), state: found }))
      .reverse(),
  };
}

function sorted(
  notices: readonly PostedNotice[],
  names: ReadonlyMap<string, string>,
  { historyDays, showIncidents, showMaintenance }: LivePage["document"],
  now: EpochMs,
) {
  const current: PublicNotice[] = [];
  const planned: PublicNotice[] = [];
  const past: PublicNotice[] = [];
  for (const notice of notices) {
    const { row, updates } = notice;
    if (row.kind === "maintenance" && !showMaintenance) continue;
    const state = stateOfNotice(notice, now);
    const shown: PublicNotice = {
      id: publicId(row.id),
      kind: row.kind,
      title: row.title,
      state,
      components: (JSON.parse(row.components) as string[]).flatMap((id) => names.get(id) ?? []),
      startsAt: toRfc3339(row.startsAt),
      endsAt: toRfc3339OrNull(row.endsAt),
      resolvedAt: toRfc3339OrNull(row.resolvedAt),
      updates: updates.map(({ at, ...update }) => ({ at: toRfc3339(at), ...update })).reverse(),
    };
    if (state === "scheduled") planned.push(shown);
    else if (state !== "resolved" && state !== "completed") current.push(shown);
    else if (showIncidents && row.startsAt > now - historyDays * DAY_MS) past.push(shown);
  }
  return { current, planned: planned.reverse(), past };
}

/** For feeds, which need an id that stays. */
function publicId(id: string): string {
  return createHash("sha256").update(`status notice ${id}`).digest("hex").slice(0, 16);
}

/** Silences with a public text, and those that concern a component of the page. */
function shownSilences({ statusPages, maintenanceOf }: PublicParts, page: LivePage, now: EpochMs): SilenceAt[] {
  return maintenanceOf(page.row.projectId, now).filter(
    ({ annotations, matchers }) => annotations[PUBLIC_TEXT] !== undefined || statusPages.concerns(page, matchers),
  );
}

function windowsOf(silences: readonly SilenceAt[], now: EpochMs): PublicWindow[] {
  return silences
    .filter(({ state, startsAt }) => state !== "expired" && startsAt < now + AHEAD_MS)
    .sort((a, b) => a.startsAt - b.startsAt)
    .slice(0, MAX_WINDOWS)
    .map(({ startsAt, endsAt, state, annotations }) => ({
      title: annotations[PUBLIC_TEXT] ?? "Planned maintenance",
      state: state === "active" ? "in_progress" : "scheduled",
      startsAt: toRfc3339(startsAt),
      endsAt: toRfc3339(endsAt),
    }));
}
