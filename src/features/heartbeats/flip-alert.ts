import type { Json } from "../../core/text/json-text.ts";
import type { EpochMs } from "../../core/time/clock.ts";
import type { AlertInput } from "../alerts/index.ts";
import { Heartbeat, type HeartbeatRow } from "./heartbeat.ts";
import type { Flip } from "./status.ts";

export interface HeartbeatEvent {
  readonly projectId: string;
  readonly type: "heartbeat.down" | "heartbeat.up";
  readonly level: "warn" | "info";
  readonly payload: Readonly<Record<string, Json>>;
}

/** The name for people. */
export function shownName({ name, slug, id }: Pick<HeartbeatRow, "name" | "slug" | "id">): string {
  return name || slug || id;
}

/** The alert of a heartbeat that went down, or its end. */
export function alertInput(row: HeartbeatRow, flip: Flip, action: "open" | "resolve", now: EpochMs): AlertInput {
  const name = shownName(row);
  return {
    projectId: row.projectId,
    source: "heartbeat",
    sourceId: row.id,
    key: `hb:${row.id}`,
    labels: {
      alertname: "HeartbeatDown",
      ...Heartbeat.value(row, "labels"),
      heartbeat: name,
      slug: row.slug,
      tags: row.tags,
      channels: Heartbeat.value(row, "channels").join(","),
    },
    annotations: { summary: `${name} is down`, description: reasonText(row, flip) },
    severity: row.severity,
    startsAt: Math.min(flip.at, now),
    ...(action === "resolve" ? { endsAt: now } : {}),
    resolvesAtOnce: true,
  };
}

function reasonText({ fedBy }: HeartbeatRow, { reason }: Flip): string {
  if (fedBy !== null && reason === "timeout") return `No firing alert that matches ${fedBy} was reported in time`;
  if (fedBy !== null && reason === "fail") return `The alert that matches ${fedBy} was resolved`;
  return REASON_TEXT[reason] ?? "";
}

const REASON_TEXT: Partial<Record<Flip["reason"], string>> = {
  timeout: "It sent no ping in time",
  "run-too-long": "A run started and did not end in time",
  fail: "It reported a failure",
};

/** The event of a flip with an alert. */
export function eventOf(row: HeartbeatRow, { to, at, reason }: Flip): HeartbeatEvent {
  const { id, name, slug, tags, projectId } = row;
  const isDown = to === "down";
  return {
    projectId,
    type: isDown ? "heartbeat.down" : "heartbeat.up",
    level: isDown ? "warn" : "info",
    payload: {
      heartbeatId: id,
      name,
      slug,
      tags: tags.split(" ").filter(Boolean),
      at: new Date(at).toISOString(),
      reason,
    },
  };
}
