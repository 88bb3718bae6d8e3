import type { ChannelPreset, ReceiverPreset, ReceiverRequest } from "../../../src/client/api-types.gen.ts";
import { SERVER_URL } from "../../app/base.ts";
import { plural } from "../../ui/index.ts";

type Preset = Pick<ReceiverPreset, "name" | "title" | "group" | "docs" | "setup">;

export type PresetField = ChannelPreset["fields"][number];

interface Forwarded {
  readonly state: "waiting" | "passed" | "refused" | "dropped";
  readonly status?: number;
  readonly durationMs?: number;
  readonly reason?: keyof typeof WHY_DROPPED;
}

/** Words of each result. */
export interface LoggedRequest extends ReceiverRequest {
  readonly outcome: {
    readonly events?: number;
    readonly eventIds?: readonly string[];
    readonly alerts?: readonly { readonly alertId: string | null }[];
    readonly problem?: string;
    readonly message?: string;
    readonly forward?: Forwarded;
  };
}

export const RESULTS = {
  accepted: { tone: "ok", text: "stored" },
  replayed: { tone: "plain", text: "known before" },
  unmapped: { tone: "warn", text: "not mapped" },
  ignored: { tone: "plain", text: "left out" },
  handshake: { tone: "info", text: "handshake" },
  refused: { tone: "bad", text: "refused" },
} as const;

/** Groups of the galleries; services are listed in this order. */
export const GROUPS: Readonly<Record<string, string>> = {
  known: "Most used",
  apis: "APIs of other services",
  chat: "Chat",
  push: "Push",
  paging: "Paging",
  sms: "SMS and voice",
  monitoring: "Monitoring",
  platforms: "Platforms",
  formats: "Formats",
  generic: "Generic",
  relay: "Relays",
};

/** Services that most people know, in this order, with a word of what they are. */
const KNOWN: Readonly<Record<string, string>> = {
  slack: "team chat",
  telegram: "messenger",
  discord: "chat server",
  ntfy: "push to a phone",
  teams: "Microsoft's team chat",
  pagerduty: "on-call service",
  "twilio-sms": "text messages",
  http: "any URL",
};

const GROUP_WORDS: Readonly<Record<string, string>> = {
  chat: "chat",
  push: "push messages",
  paging: "on-call service",
  sms: "text messages and calls",
  relay: "passes on to other services",
  generic: "any program",
};

/** A preset of the gallery of services, with its section and a word of what it is. */
export function serviceOf({ name, group }: Preset): { readonly section: string; readonly word: string } {
  const word = KNOWN[name];
  return word === undefined ? { section: group, word: GROUP_WORDS[group] ?? "" } : { section: "known", word };
}

/** Compares presets of one gallery by section, well-known ones in their order, others by title. */
export function galleryOrder(a: Preset, b: Preset): number {
  const [one, other] = [serviceOf(a).section, serviceOf(b).section];
  const groups = Object.keys(GROUPS);
  if (one !== other) return groups.indexOf(one) - groups.indexOf(other);
  if (one !== "known") return a.title.localeCompare(b.title);
  const names = Object.keys(KNOWN);
  return names.indexOf(a.name) - names.indexOf(b.name);
}

/** Outcome of a request, in words. */
export function outcomeText({ result, outcome }: LoggedRequest): string {
  const { events = 0, alerts = [], problem, message, forward } = outcome;
  if (result === "replayed") return "A repetition: nothing was stored";
  if (result === "handshake") return "Answered; nothing to store";
  const parts = [
    ...(events > 0 ? [plural(events, "event")] : []),
    ...(alerts.length > 0 ? [plural(alerts.length, "alert")] : []),
    ...(message === undefined ? [] : [message]),
    ...(problem === undefined ? [] : [problem]),
    ...(forward === undefined ? [] : [forwardText(forward)]),
  ];
  return parts.length === 0 ? "Nothing was stored" : parts.join(" · ");
}

/** What became of a request that a mirror passes on. */
function forwardText({ state, status, durationMs, reason }: Forwarded): string {
  if (state === "waiting") return "waits to be passed on";
  if (state === "passed") return `passed on in ${durationMs} ms`;
  return `not passed on: ${state === "refused" ? `the answer was ${status}` : WHY_DROPPED[reason ?? "failed"]}`;
}

const WHY_DROPPED = {
  full: "too many waited",
  loop: "it came from a Prism",
  copy: "a node without a leader had it",
  restored: "it was in a backup",
  late: "it waited for a day",
  ended: "the mirror, or its address, was ended",
  failed: "it could not be sent",
} as const;

/** The page of the manual about a sender or a service. */
export function docsUrl({ docs }: Preset): string {
  return `${SERVER_URL}/docs/integrations/${docs}`;
}
