import { DAY_MS } from "../../../core/time/clock.ts";
import { durationOf } from "../../../http/api/file-form.ts";
import type { ImportedFiles } from "../files.ts";
import type { ReportRow } from "../report.ts";

const SIZES: Readonly<Record<string, number>> = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/** Settings of ntfy that are those of Prism, with the least and the most. */
const NUMBERS: readonly (readonly [string, string, (value: unknown) => number | undefined, number, number])[] = [
  ["cache-duration", "cacheMs", spanOf, 60_000, 7 * DAY_MS],
  ["attachment-file-size-limit", "attachments.fileBytes", bytesOf, 0, 104_857_600],
  ["visitor-attachment-total-size-limit", "attachments.userBytes", bytesOf, 0, 1e15],
  ["attachment-total-size-limit", "attachments.totalBytes", bytesOf, 0, 1e15],
  ["attachment-expiry-duration", "attachments.keptMs", spanOf, 60_000, 30 * DAY_MS],
];

const TAKEN = /^(auth-|cache-file|base-url|listen-http$)/;

/** What is told of the others, by their names. Their values may be secrets. */
const OTHERS: readonly (readonly [RegExp, ReportRow["outcome"], string])[] = [
  [/^upstream-/, "not taken", "iOS shows new messages when the app is opened"],
  [/^smtp-sender-/, "to do", "the mail server is in the settings smtp of prism.config.json"],
  [
    /^smtp-server-/,
    "not taken",
    "mails open alerts by a receiver with the preset mail; they are not published to topics",
  ],
  [/^web-push-/, "not taken", "browsers subscribe again, in the console"],
  [/^twilio-/, "not taken", "calls are a channel with the preset twilio"],
  [/^(visitor-|global-|message-|manager-|keepalive-)/, "not taken", "Prism has limits of its own: docs/limits.md"],
  [
    /^(enable-|require-login|stripe-|billing-|web-root|disallowed-)/,
    "not taken",
    "Prism has its own console and accounts",
  ],
  [/^attachment-/, "changed", "attachments are in the data directory"],
  [/^cache-/, "changed", "messages are in the data directory"],
  [/^template-dir$/, "to do", "set ntfy.templateDir to this directory"],
  [
    /^(listen-|cert-file|key-file|behind-proxy|proxy-|log-|metrics-|enable-metrics|profile-|firebase-)/,
    "to do",
    "address, TLS, proxies and logs are settings of Prism: docs/configuration.md",
  ],
];

/** Settings that have no place in files: lines for `prism.config.json`, and what to do about others. */
export function writeSettings(settings: Readonly<Record<string, unknown>>, files: ImportedFiles): void {
  const taken = new Set<string>();
  const ntfy = { ...addressOf(settings), ...numbersOf(settings, taken) };
  if (Object.keys(ntfy).length > 0)
    files.note("settings", "prism.config.json", "to do", `add ${JSON.stringify({ ntfy })}, and restart`);
  const left = new Map<(typeof OTHERS)[number] | null, string[]>();
  for (const [name, value] of Object.entries(settings)) {
    if (taken.has(name) || TAKEN.test(name) || value === "" || value === null || value === false) continue;
    const about = OTHERS.find(([names]) => names.test(name)) ?? null;
    left.set(about, [...(left.get(about) ?? []), name]);
  }
  for (const [about, names] of left)
    files.note(
      "setting",
      names.sort().join(", "),
      about?.[1] ?? "not taken",
      about?.[2] ?? "Prism has no such setting",
    );
}

/** Apps go on at the same host name, else at the same port. */
function addressOf(settings: Readonly<Record<string, unknown>>) {
  const base = String(settings["base-url"] ?? "");
  const port = /:(\d+)$/.exec(String(settings["listen-http"] ?? ""))?.[1];
  if (URL.canParse(base)) return { hosts: [new URL(base).hostname], baseUrl: new URL(base).origin };
  return port === undefined ? {} : { port: Number(port) };
}

function numbersOf(settings: Readonly<Record<string, unknown>>, taken: Set<string>) {
  const found: Record<string, unknown> = {};
  for (const [name, path, read, least, most] of NUMBERS) {
    const value = settings[name] === undefined ? undefined : read(settings[name]);
    if (value === undefined || value < least || value > most) continue;
    taken.add(name);
    const [member = "", below] = path.split(".");
    found[member] = below === undefined ? value : { ...(found[member] as object | undefined), [below]: value };
  }
  return found;
}

/** `12h`, `1h30m` or `2d`. */
function spanOf(value: unknown): number | undefined {
  return durationOf(String(value)) ?? undefined;
}

/** `15M`, `5G` or a number of bytes. */
function bytesOf(value: unknown): number | undefined {
  const [, n, unit = ""] = /^(\d+)([kmgt]?)$/i.exec(String(value)) ?? [];
  return n === undefined ? undefined : Number(n) * (SIZES[unit.toLowerCase()] ?? 1);
}
