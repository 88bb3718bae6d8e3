import { createHmac } from "node:crypto";
import type { Step, Values } from "../story.ts";
import { INVITATIONS, SECOND_FACTOR, SESSIONS } from "./accounts.ts";
import { ALERTMANAGER } from "./alertmanager.ts";
import { HEALTHCHECKS } from "./healthchecks.ts";
import { BACKUPS, CALENDARS, RECEIVERS, RULES, SOUNDS, STATUS_PAGE, WORKERS } from "./operations.ts";
import { OPSGENIE, PAGERDUTY } from "./pagers.ts";
import { GOTIFY, NTFY } from "./push.ts";
import { PUSHER_REST } from "./pusher.ts";

interface Chapter {
  readonly title: string;
  readonly steps: readonly Step[];
  /** Derives values that a request needs from those that were saved. */
  readonly prepare?: (values: Values, now: number) => void;
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const PERIOD_S = 30;

/** Chains of requests by the file in which they are recorded. */
export const STORIES: Readonly<Record<string, readonly Chapter[]>> = {
  accounts: [
    { title: "Sessions", steps: SESSIONS },
    { title: "A second factor", steps: SECOND_FACTOR, prepare: addCode },
    { title: "Invitations", steps: INVITATIONS },
  ],
  alertmanager: [{ title: "Alertmanager", steps: ALERTMANAGER }],
  gotify: [{ title: "Gotify", steps: GOTIFY }],
  healthchecks: [{ title: "Healthchecks and Uptime Kuma", steps: HEALTHCHECKS }],
  ntfy: [{ title: "ntfy", steps: NTFY }],
  operations: [
    { title: "Workers and jobs", steps: WORKERS },
    { title: "Backups", steps: BACKUPS },
    { title: "Sounds", steps: SOUNDS },
    { title: "Calendars", steps: CALENDARS },
    { title: "A status page", steps: STATUS_PAGE },
    { title: "Receivers", steps: RECEIVERS },
    { title: "From an event to an acknowledgement", steps: RULES },
  ],
  pagers: [
    { title: "PagerDuty", steps: PAGERDUTY },
    { title: "Opsgenie", steps: OPSGENIE },
  ],
  pusher: [{ title: "Pusher", steps: PUSHER_REST }],
};

/** The code that an app of the second factor shows (RFC 6238). */
function addCode(values: Values, now: number): void {
  const bits = [...(values["secret"] ?? "")]
    .map((letter) => ALPHABET.indexOf(letter).toString(2).padStart(5, "0"))
    .join("");
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(now / 1000 / PERIOD_S)));
  const hash = createHmac("sha1", key).update(counter).digest();
  const offset = (hash.at(-1) ?? 0) & 15;
  values["code"] = String((hash.readUInt32BE(offset) & 0x7fff_ffff) % 1_000_000).padStart(6, "0");
}
