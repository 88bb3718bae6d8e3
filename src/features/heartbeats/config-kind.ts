import { PrismError } from "../../core/errors.ts";
import { DAY_MS, HOUR_MS } from "../../core/time/clock.ts";
import { givenToken } from "../../http/api/shapes.ts";
import { configKind, type Spec } from "../../module/config-kind.ts";
import { resourceKind } from "../../module/resource-kind.ts";
import type { Trx } from "../../store/database.ts";
import { FED_PLAN, type HeartbeatsContext, kindOfSchedule, slugOf } from "./changes.ts";
import { checkFedBy } from "./feeds.ts";
import { Heartbeat, type HeartbeatDefinition, type HeartbeatRow } from "./heartbeat.ts";
import { heartbeats } from "./manage.ts";
import { pingIdOf } from "./ping-ids.ts";
import { type CreateHeartbeat, definitionOf } from "./schema.ts";
import { alertLabels } from "./status.ts";

type HeartbeatSpec = Omit<CreateHeartbeat, "projectId"> & { readonly ping?: string };

const of = resourceKind<HeartbeatRow>(Heartbeat);
/** They follow from other members. */
const DERIVED = ["slug", "kind", "timeoutMs", "graceMs"];

export function heartbeatKinds(context: HeartbeatsContext) {
  const found = (trx: Trx, id: string) => Heartbeat.require(trx, id, "HEARTBEAT_NOT_FOUND", "heartbeat");
  const heartbeat = configKind<HeartbeatSpec, HeartbeatDefinition>({
    ...{ kind: "heartbeats", noun: "heartbeat", resourceType: "heartbeat", scope: "project", after: [] },
    rights: { read: "events:read", write: "heartbeats:write" },
    secrets: ["ping"],
    atCreation: ["ping"],
    // Jobs ping the slug: a new name must not change it.
    keeps: ["slug"],
    isHeldOutside: true,
    entries: () => ({ ...of.entries(), ping: givenToken("The UUID or token in its ping URL") }),
    defaults: Object.fromEntries(Object.entries(of.defaults).filter(([name]) => !DERIVED.includes(name))),
    canonical: complete,
    async list(db, projectId, ids) {
      return (await of.rows(db, projectId, ids)).map((row) => {
        const name = row.name || row.slug;
        return { id: row.id, name, version: row.version, spec: { ...of.specOf(row), name } };
      });
    },
    ...{ versions: of.versions, rows: of.rowsById },
    async prepare(_owner, { ping: _ping, ...spec }, stored) {
      const definition = atSchedule(() => definitionOf(complete(spec) as HeartbeatSpec));
      // Compiling takes a while.
      if (definition.fedBy != null && definition.fedBy !== stored?.spec["fedBy"]) await checkFedBy(definition.fedBy);
      return definition;
    },
    async create(trx, { caller, projectId }, id, spec, definition) {
      const ping = pingIdOf(spec.ping ?? "") ?? undefined;
      await heartbeats.insert(context, trx, caller, { projectId: projectId ?? "", definition, id, ping });
      return undefined;
    },
    async update(trx, { caller, row: known }, { id }, _spec, definition) {
      const row = (known as HeartbeatRow | undefined) ?? (await found(trx, id));
      await heartbeats.change(context, trx, row, changedColumns(definition, row), caller);
      return undefined;
    },
    async remove(trx, { caller }, { id }) {
      await heartbeats.remove(context, trx, await found(trx, id), caller, undefined);
    },
    async notes(db, op, stored) {
      const row = op === "delete" && stored ? await Heartbeat.find(db, stored.id) : undefined;
      return row?.status === "down" ? ["its alert is resolved"] : [];
    },
    alertLabels(spec) {
      const { name, slug = "", tags = [], labels = {}, channels = [] } = complete(spec) as Partial<HeartbeatSpec>;
      const labelled = { name: name || slug, slug, tags: tags.join(" "), labels, channels };
      return { labels: alertLabels(labelled), isPart: false };
    },
  });
  return [heartbeat];
}

/** As for requests: the slug is from the name, the kind from the schedule; fed ones have a plan of their own. */
function complete(spec: Spec): Spec {
  const { name, slug, schedule, kind, fedBy } = spec as Partial<HeartbeatSpec>;
  const plan = fedBy ? FED_PLAN : { timeoutMs: DAY_MS, graceMs: HOUR_MS };
  const kindOf = schedule ? (kind ?? readKind(schedule)) : "simple";
  return { ...plan, ...spec, slug: slug ?? slugOf(name ?? ""), ...(kindOf && { kind: kindOf }) };
}

/** Undefined: the schedule is not readable, which the check of the definition says. */
function readKind(schedule: string): HeartbeatSpec["kind"] {
  try {
    return kindOfSchedule(schedule);
  } catch {
    return undefined;
  }
}

/** A pattern that is not readable is that of the member `schedule`. */
function atSchedule<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof PrismError) || error.code !== "INVALID_CRON") throw error;
    const { code, message } = error;
    const details = (error.details ?? [{ code, message }]).map((each) => ({ ...each, path: "schedule" }));
    throw new PrismError(code, message, { details, cause: error });
  }
}

function changedColumns(definition: HeartbeatDefinition, row: HeartbeatRow): HeartbeatDefinition {
  const columns: Readonly<Record<string, unknown>> = row;
  return Object.fromEntries(Object.entries(definition).filter(([name, value]) => columns[name] !== value));
}
