import { hostname } from "node:os";
import { VERSION } from "../../../core/runtime.ts";
import { type EpochMs, toRfc3339 } from "../../../core/time/clock.ts";
import type { EmergencyNews, EmergencyReason } from "./port.ts";

/** A call as each way sends it. */
export interface EmergencyMessage {
  /** The same for each way and retry of one call. */
  readonly id: string;
  readonly subject: string;
  /** Plain text: what happened, since when, on which server, what to do. */
  readonly text: string;
  /** The body of the webhook. */
  readonly body: Readonly<Record<string, unknown>>;
}

interface Wording {
  readonly title: string;
  readonly remedy: string;
}

const WORDING: Readonly<Record<EmergencyReason | "test", Wording>> = {
  "page-undelivered": {
    title: "Prism has reached no one",
    remedy: "Open the incidents now, and look at /deliveries and at prism status for the ways that fail.",
  },
  "page-not-attempted": {
    title: "Prism does not send its pages",
    remedy: "Open the incidents now. If prism status shows no reason, restart the server.",
  },
  "store-refuses-writes": {
    title: "Prism cannot store anything",
    remedy: "Free space on the disk or mount it writable; alerts may be lost until then. prism doctor shows more.",
  },
  "server-was-down": {
    title: "Prism was down while pages were due",
    remedy: "Open the incidents now; the pages are sent late. The service's log says why it was down.",
  },
  "turn-failed": {
    title: "Prism cannot run the policy of an incident",
    remedy: "Open the incident now and notify people yourself. The log of the server has the error.",
  },
  "queue-paused": {
    title: "Pages wait in a paused queue",
    remedy: "prism queue resume <name> sends them.",
  },
  "no-leader": {
    title: "The cluster of Prism has no leader",
    remedy: "See which nats-servers and nodes run: prism doctor. Most of the nats-servers must be reachable.",
  },
  test: {
    title: "Test of the emergency contacts of Prism",
    remedy: "Nothing: prism doctor --emergency sent this.",
  },
};

interface Call {
  readonly id: string;
  readonly reason: EmergencyReason | "test";
  readonly news: EmergencyNews & { readonly since: EpochMs };
  readonly at: EpochMs;
  readonly serverUrl: string;
}

export function messageOf({ id, reason, news, at, serverUrl }: Call): EmergencyMessage {
  const { title, remedy } = WORDING[reason];
  const { text: what, since, facts = {} } = news;
  const host = hostname();
  const lines = [
    `${title}: ${what}`,
    "",
    `Since: ${toRfc3339(since)}`,
    ...Object.entries(facts).map(([name, value]) => `${name}: ${value}`),
    `Server: ${serverUrl} (host ${host}, version ${VERSION})`,
    `What to do: ${remedy}`,
    "",
    `Reason ${reason}, call ${id}`,
  ];
  const text = lines.join("\n");
  const body = { id, reason, title, text, what, since: toRfc3339(since), at: toRfc3339(at), facts };
  return {
    id,
    subject: `${title} (${host})`,
    text,
    body: { ...body, server: { url: serverUrl, host, version: VERSION }, remedy, test: reason === "test" },
  };
}
