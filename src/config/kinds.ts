import { isIP } from "node:net";
import * as v from "valibot";
import { parseCidr } from "../core/ip-addresses.ts";
import {
  ANY_NAMESPACE,
  ISSUER_ALGORITHMS,
  isNamespaceName,
  WORKER_CHANNELS,
  type WorkerChannel,
} from "../core/text/vocabulary.ts";
import { isTimezone } from "../core/time/clock.ts";

/** Validation of one kind of option, and parsing of its text form (flag, environment). */
export interface Kind<T> {
  readonly schema: v.GenericSchema<unknown, T>;
  fromText(text: string): unknown;
  /** How a form asks for it; default: text. */
  readonly input?: "integer" | "boolean" | "duration" | "list" | "choice";
  readonly choices?: readonly string[];
}

export function text(min = 1, max = 4096): Kind<string> {
  const message = `must be a text of ${min} to ${max} characters`;
  return {
    schema: v.pipe(v.string(message), v.minLength(min, message), v.maxLength(max, message)),
    fromText: (text) => text,
  };
}

/** Two times of a day, such as `22:00-07:00`; the second one may be of the next day. */
export function hours(): Kind<string> {
  const message = "must be two times such as 22:00-07:00";
  return {
    schema: v.pipe(v.string(message), v.regex(/^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$/, message)),
    fromText: (text) => text.trim(),
  };
}

/** One of several words. Text may be in upper case, such as LOG_LEVEL=INFO. */
export function oneOf<const T extends string>(...values: readonly [T, ...T[]]): Kind<T> {
  return {
    schema: v.picklist(values, `must be one of ${values.join(", ")}`),
    fromText: (text) => values.find((value) => value === text.trim().toLowerCase()) ?? text,
    input: "choice",
    choices: values,
  };
}

export function integer(min: number, max: number): Kind<number> {
  const message = `must be a whole number from ${min} to ${max}`;
  return {
    schema: v.pipe(v.number(message), v.integer(message), v.minValue(min, message), v.maxValue(max, message)),
    fromText: (text) => (/^-?\d+$/.test(text.trim()) ? Number(text) : text),
    input: "integer",
  };
}

export function boolean(): Kind<boolean> {
  const words: Readonly<Record<string, boolean>> = { true: true, "1": true, false: false, "0": false };
  return {
    schema: v.boolean("must be true or false"),
    fromText: (text) => words[text.trim().toLowerCase()] ?? text,
    input: "boolean",
  };
}

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/**
 * Milliseconds as a number, or a text with a unit such as `15m`, `7d`, `250ms`; text without a unit
 * is milliseconds.
 */
export function duration(minMs: number, maxMs: number): Kind<number> {
  const range = `from ${durationSetting(minMs)} to ${durationSetting(maxMs)}`;
  const message = `must be a duration ${range}: a number of milliseconds, or a text with the unit ms, s, m, h or d`;
  const parse = (value: unknown): unknown => (typeof value === "string" ? (parseDuration(value) ?? value) : value);
  return {
    schema: v.pipe(
      v.unknown(),
      v.transform(parse),
      v.number(message),
      v.integer(message),
      v.minValue(minMs, message),
      v.maxValue(maxMs, message),
    ),
    fromText: (text) => text,
    input: "duration",
  };
}

/** Formats with the largest unit that gives a whole number: 86 400 000 is "1d". */
function durationSetting(ms: number): string {
  const [unit, size] = Object.entries(UNIT_MS).findLast(([, each]) => ms % each === 0) ?? ["ms", 1];
  return ms === 0 ? "0" : `${ms / size}${unit}`;
}

/** @returns milliseconds; undefined if the text is not a duration. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?$/.exec(text.trim());
  if (!match) return undefined;
  return Math.round(Number(match[1]) * (UNIT_MS[match[2] ?? "ms"] ?? 1));
}

/** A JSON array, or a text separated by commas. */
export function list<T>(item: v.GenericSchema<unknown, T>): Kind<readonly T[]> {
  return {
    schema: v.array(item, "must be a list"),
    fromText: (text) =>
      jsonList(text) ??
      text
        .split(",")
        .map((part) => part.trim())
        .filter((part) => part !== ""),
    input: "list",
  };
}

/** The items of a JSON array; undefined for other text. */
function jsonList(text: string): unknown[] | undefined {
  if (!/^\s*\[.*\]\s*$/s.test(text)) return undefined;
  try {
    return JSON.parse(text) as unknown[];
  } catch {
    return undefined;
  }
}

/** A text for which `test` is true. Other values and other types get the same message. */
function textThat(message: string, test: (value: string) => boolean): v.GenericSchema<unknown, string> {
  return v.pipe(v.string(message), v.check(test, message));
}

export const cidr = textThat(
  "must be an address or a range such as 10.0.0.0/8 or fd00::/8",
  (value) => parseCidr(value) !== undefined,
);

export const origin = textThat(
  "must be an origin such as https://app.example.org",
  (value) => URL.canParse(value) && new URL(value).origin === value,
);

/** A TCP port in a list; environment and flags give it as text. */
export const portItem: v.GenericSchema<unknown, number> = v.pipe(
  v.unknown(),
  v.transform((value) => (typeof value === "string" && /^\d{1,5}$/.test(value) ? Number(value) : value)),
  v.number("must be a port from 1 to 65535"),
  v.integer("must be a port from 1 to 65535"),
  v.minValue(1, "must be a port from 1 to 65535"),
  v.maxValue(65_535, "must be a port from 1 to 65535"),
);

export const hostName = textThat("must be a host name", (value) => /^[A-Za-z0-9.-]{1,253}$/.test(value));

export const noProxyItem = textThat("must be a host, a domain, an address, a range or *", (value) => value !== "");

export const socketIoNamespace = textThat(
  "must be * or a namespace such as /alerts",
  (value) => value === ANY_NAMESPACE || isNamespaceName(value),
);

export const workerChannel: v.GenericSchema<unknown, WorkerChannel> = v.picklist(
  WORKER_CHANNELS,
  `must be one of ${WORKER_CHANNELS.join(", ")}`,
);

/** Events that Pusher sends to webhooks. */
const PUSHER_WEBHOOK_EVENTS = [
  "channel_occupied",
  "channel_vacated",
  "member_added",
  "member_removed",
  "client_event",
  "cache_miss",
  "subscription_count",
] as const;

export const pusherWebhookEvent: v.GenericSchema<unknown, (typeof PUSHER_WEBHOOK_EVENTS)[number]> = v.picklist(
  PUSHER_WEBHOOK_EVENTS,
  `must be one of ${PUSHER_WEBHOOK_EVENTS.join(", ")}`,
);

/** Asymmetric algorithms only: with them, a key that verifies tokens cannot sign them. */
export const issuerAlgorithm = v.picklist(ISSUER_ALGORITHMS, `must be one of ${ISSUER_ALGORITHMS.join(", ")}`);

export const roleName = textThat("must be the name of a role", (value) => value !== "" && value.length <= 100);

export const urlScheme = v.pipe(
  textThat("must be a URL scheme such as myapp", (value) => /^[a-z][a-z0-9+.-]{1,62}$/.test(value)),
  v.check(
    (scheme) => !/^(javascript|data|vbscript|file|blob|about)$/.test(scheme),
    "must not be a scheme that browsers run",
  ),
);

/** An IANA time zone. Some systems set TZ to `:Europe/Berlin` or to a path. */
export function timezone(): Kind<string> {
  return {
    schema: textThat("must be an IANA time zone such as UTC or Europe/Berlin", isTimezone),
    fromText: (text) => text.trim().replace(/^:?(.*\/zoneinfo\/)?/, ""),
  };
}

export function address(): Kind<string> {
  return hostText();
}

export function httpUrl(): Kind<string> {
  const check = (value: string): boolean => URL.canParse(value) && /^https?:$/.test(new URL(value).protocol);
  return {
    schema: textThat("must be an http or https URL", check),
    fromText: (text) => text.trim().replace(/\/+$/, ""),
  };
}

/** As in HTTPS_PROXY: the scheme may be left out. */
export function proxyUrl(): Kind<string> {
  const { schema, fromText } = httpUrl();
  return { schema, fromText: (text) => fromText(text.includes("://") ? text : `http://${text.trim()}`) };
}

/** The address that a path is added to. A query or a fragment would swallow the path. */
export function baseUrl(): Kind<string> {
  const { fromText } = httpUrl();
  return {
    schema: textThat("must be an http or https URL without user name, query and fragment", isBaseUrl),
    fromText,
  };
}

function isBaseUrl(value: string): boolean {
  if (!URL.canParse(value)) return false;
  const { protocol, username, password } = new URL(value);
  return /^https?:$/.test(protocol) && username === "" && password === "" && !/[?#]/.test(value);
}

const ADDRESS = '[^\\s<>@,;:"]+@[^\\s<>@,;:"]+';
const SENDER = new RegExp(`^(?:${ADDRESS}|(?:[^\\p{Cc}<>@,;:"]*|"[^\\p{Cc}"\\\\]*") *<${ADDRESS}>)$`, "u");

/** A mail address with or without a name. With a line break it would add headers to every mail. */
export function sender(): Kind<string> {
  const message = 'must be one mail address such as prism@example.org, Prism <prism@example.org> or "A, B" <a@b.org>';
  return {
    schema: textThat(message, (value) => value.length <= 320 && SENDER.test(value)),
    fromText: (text) => text.trim(),
  };
}

/** One mail address without a name. */
export const mailAddress = textThat(
  "must be a mail address such as ops@example.org",
  (value) => value.length <= 320 && new RegExp(`^${ADDRESS}$`).test(value),
);

/** As {@link mailAddress}, for an option. */
export function oneAddress(): Kind<string> {
  return { schema: mailAddress, fromText: (text) => text.trim() };
}

/** A program and its arguments: a JSON array; text that is no JSON array is the program alone. */
export function argumentList(): Kind<readonly string[]> {
  const message = "must be a list of texts: a program and its arguments";
  return {
    schema: v.pipe(v.array(v.string(message), message), v.minLength(1, message), v.maxLength(100, message)),
    fromText(text) {
      if (!text.trim().startsWith("[")) return [text.trim()];
      try {
        return JSON.parse(text) as unknown;
      } catch {
        return text;
      }
    },
    input: "list",
  };
}

export const secretText = textThat(
  "must be a text of 1 to 4096 characters",
  (value) => value !== "" && value.length <= 4096,
);

export function hostText(): Kind<string> {
  return { schema: textThat("must be an IP address or a host name", isHost), fromText: (text) => text.trim() };
}

function isHost(value: string): boolean {
  return isIP(value) !== 0 || /^[A-Za-z0-9.-]{1,253}$/.test(value);
}

/** Case does not count (RFC 9110 section 5.1). */
export function headerName(): Kind<string> {
  return {
    schema: textThat("must be the name of a header such as Remote-User", (value) => /^[A-Za-z0-9-]{1,64}$/.test(value)),
    fromText: (text) => text.trim(),
  };
}

/** What groups give, as JSON: a name, or a list of them. */
export function groupMap(): Kind<Readonly<Record<string, string | readonly string[]>>> {
  const message = "must be an object of groups with a name or a list of names each";
  const schema = v.record(v.string(), v.union([v.string(), v.array(v.string())], message), message);
  return {
    schema,
    fromText(text) {
      try {
        return JSON.parse(text) as unknown;
      } catch {
        return text;
      }
    },
  };
}

/** A key of 32 bytes, in base64 or hex. */
export function key32(): Kind<Uint8Array> {
  return { schema: key32Item, fromText: (text) => text.trim() };
}

export const key32Item: v.GenericSchema<unknown, Uint8Array> = v.pipe(
  v.unknown(),
  v.transform((value) => (typeof value === "string" ? (decodeKey32(value) ?? value) : value)),
  v.instance(Uint8Array, "must be 32 bytes in base64 or hex"),
);

/** @returns undefined if the text is not 32 bytes in base64, base64url or hex. */
export function decodeKey32(text: string): Uint8Array | undefined {
  if (/^[0-9a-fA-F]{64}$/.test(text)) return Buffer.from(text, "hex");
  return /^[A-Za-z0-9+/_-]{43}=?$/.test(text) ? Buffer.from(text, "base64") : undefined;
}
