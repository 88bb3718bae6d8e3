import { PrismError } from "../../core/errors.ts";
import { doc, refersTo, text } from "../../http/api/shapes.ts";
import { missingPermission } from "../../http/server/access.ts";
import type { ConfigKind } from "../../module/config-kind.ts";
import { runtimeKind } from "../../module/runtime-kind.ts";
import { type HeartbeatsContext, pauseHeartbeat } from "./changes.ts";
import { Heartbeat } from "./heartbeat.ts";
import { heartbeatsOf } from "./table.ts";

interface PauseSpec {
  readonly heartbeat: string;
}

/** Pauses of heartbeats in configuration files. They are made once. */
export function pausesKind(context: HeartbeatsContext): ConfigKind {
  return runtimeKind<PauseSpec>({
    ...{ kind: "pauses", noun: "pause", key: "heartbeat" },
    rights: { read: "events:read", write: "heartbeats:write" },
    entries: () => ({ heartbeat: doc(refersTo("heartbeats", text(100, 1)), "Name of the heartbeat") }),
    async list(db, projectId) {
      const rows = (await heartbeatsOf(db, projectId)).filter(({ status }) => status === "paused");
      return rows.map(({ id }) => ({ id, spec: { heartbeat: id } }));
    },
    end: () => null,
    async make(trx, caller, projectId, { heartbeat }) {
      if (!context.projects.has(caller, projectId, "heartbeats:write")) throw missingPermission("heartbeats:write");
      const row = await Heartbeat.require(trx, heartbeat, "HEARTBEAT_NOT_FOUND", "heartbeat");
      if (row.projectId !== projectId) throw new PrismError("HEARTBEAT_NOT_FOUND", "No such heartbeat in this project");
      await pauseHeartbeat(context, trx, row);
    },
  });
}
