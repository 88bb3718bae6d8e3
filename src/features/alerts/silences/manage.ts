import type { Principal } from "../../../core/caller.ts";
import { PrismError } from "../../../core/errors.ts";
import { toRfc3339 } from "../../../core/time/clock.ts";
import { ofProjects } from "../../../http/api/listing.ts";
import { pageOf } from "../../../http/api/shapes.ts";
import { callerOf, missingPermission } from "../../../http/server/access.ts";
import { managed, type Projects } from "../../access/index.ts";
import type { LabelRecord } from "../model/labels.ts";
import { lastHits, silenceList } from "./queries.ts";
import {
  changedDraft,
  creatorOf,
  newDraft,
  readMatchers,
  requirePagedSilence,
  type SilencesContext,
  selected,
  silenceView,
} from "./requests.ts";
import * as s from "./schema.ts";
import { Silence, type SilenceRow } from "./silence.ts";

export const PATH = "/api/v1/silences";
export const tag = "Silences";
export const read = { permission: "events:read", within: "project", keyScope: "events:read" } as const;
export const write = { permission: "silences:write", within: "project", keyScope: "silences:write" } as const;

export const silences = managed({
  ...{ path: PATH, names: ["Silence", "Silences"], tag, params: s.SilenceParams },
  access: {
    rights: { read: "events:read", write: "silences:write", missing: "SILENCE_NOT_FOUND" },
    visible: async (projects, caller, id, db) =>
      requireVisible(projects, caller, await Silence.find(db, id), "events:read"),
    async writable(projects, given, id, db) {
      const caller = projects.current(given);
      const row = requireVisible(projects, caller, await Silence.find(db, id), rightToChange(caller));
      requireWriter(projects, caller, row);
      return row;
    },
  },
  callers: { read, write },
  writer: callerOf,
  answer: () => Silence.View,
  list: {
    summary: "List the silences of a project, the last to end first",
    errors: ["PROJECT_NOT_FOUND", "INVALID_CURSOR"],
    query: s.ListSilences,
    answer: () => pageOf(Silence.View),
    page({ db, clock, projects, silences: known }: SilencesContext, caller, { projectId: ref, ...query }) {
      const projectId = projects.requireOrDefault(caller, ref, "events:read");
      const now = clock.now();
      const active = known.live(projectId).flatMap((each) => (each.isActive(now) ? [each.id] : []));
      const scope = { visible: ofProjects([projectId]), state: { active, now } };
      return silenceList.page(db, scope, query, () => (row) => silenceView(row, now));
    },
  },
  get: {
    summary: "Get a silence with the alerts that it silenced last",
    answer: s.SilenceDetail,
    async extra({ db }, { id }) {
      const withheld = (await lastHits(db.read, id)).map(({ at, labels, ...hit }) => ({
        ...hit,
        at: toRfc3339(at),
        labels: labels === null ? null : (JSON.parse(labels) as LabelRecord),
      }));
      return { withheld };
    },
  },
  create: {
    summary: "Create a silence or a maintenance window",
    details:
      "A silence that hits more than `silences.warnHits` alerts, or with matchers that match any value, needs the " +
      "permission `silences:broad` too.",
    errors: ["INCIDENT_NOT_FOUND", "PROJECT_NOT_FOUND", "INVALID_CRON", "LIMIT_REACHED"],
    body: s.CreateSilence,
    storesAnswer: {},
    async prepare(_context, _caller, input) {
      if (input.matchers) await readMatchers(input.matchers);
      return input;
    },
  },
  update: {
    summary: "Change a silence; absent members keep their values",
    details:
      "A new comment, annotations or end, or times of a pending silence, keep the `id`. Any other change " +
      "creates a silence with a new `id`, which is in the answer, and ends the old one.",
    errors: ["INVALID_CRON", "LIMIT_REACHED"],
    body: s.UpdateSilence,
    prepare: async (_context, _caller, { matchers, ...input }) => ({
      ...input,
      matchers: matchers && (await readMatchers(matchers)),
    }),
  },
  view: ({ clock }, _caller, row) => silenceView(row, clock.now()),
  state: ({ state, window, hits, lastHitAt }) => ({ state, window, hits, lastHitAt }),
  in: {
    /** A person without `silences:write` may silence what the person was notified of. */
    async insert(context, trx, caller, input) {
      const { silences: known, projects, clock } = context;
      const { projectId, matchers } = await selected(context, caller, input, "silences:write", trx);
      const now = clock.now();
      const draft = newDraft(caller, { ...input, projectId, matchers }, now);
      const isPaged = !projects.has(caller, projectId, "silences:write");
      if (isPaged) {
        const hits = known.hits(projectId, matchers);
        await requirePagedSilence({ projects, hits }, caller, draft, now, trx);
      }
      const mayBeBroad = !isPaged && projects.has(caller, projectId, "silences:broad");
      return { row: (await known.set(draft, { trx, mayBeBroad, at: now, isPaged })).silence };
    },
    async change({ silences: known, projects }, trx, old, input, caller) {
      const mayBeBroad = projects.has(caller, old.projectId, "silences:broad");
      return { row: (await known.set(changedDraft(old, input), { trx, id: old.id, mayBeBroad })).silence };
    },
    async remove({ silences: known }, trx, { projectId, id }) {
      await known.expire(projectId, id, { trx });
    },
  },
});

/** For a key its right to write is enough to see what it changes. */
export function rightToChange({ kind }: Principal): "silences:write" | "events:read" {
  return kind === "apiKey" ? "silences:write" : "events:read";
}

export function requireVisible(
  projects: Projects,
  caller: Principal,
  row: SilenceRow | undefined,
  right: "silences:write" | "events:read",
): SilenceRow {
  if (!row || !(projects.has(caller, row.projectId, right) || isOwn(projects, caller, row)))
    throw new PrismError("SILENCE_NOT_FOUND", "No such silence");
  return row;
}

export function requireWriter(projects: Projects, caller: Principal, { projectId }: SilenceRow): void {
  if (!projects.has(caller, projectId, "silences:write")) throw missingPermission("silences:write");
}

export function isOwn(projects: Projects, caller: Principal, { projectId, createdBy }: SilenceRow): boolean {
  return createdBy === creatorOf(caller) && projects.mayBeGiven(caller, projectId, "silences:write");
}
