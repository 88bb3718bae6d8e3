import { createHmac } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import type { Principal } from "../../core/caller.ts";
import { secretsEqual } from "../../core/crypto/tokens.ts";
import { PrismError } from "../../core/errors.ts";
import { isUuid } from "../../core/ids.ts";
import { escapeHtml } from "../../core/text/clean-text.ts";
import { ANSWERS_LATER, type Route, route } from "../../http/api/route.ts";
import type { Exchange } from "../../http/server/exchange.ts";
import { MEDIA_HEADERS } from "../../http/server/headers.ts";
import type { HeartbeatsContext } from "./changes.ts";
import type { HeartbeatRow } from "./heartbeat.ts";
import type { Heartbeats } from "./heartbeats.ts";
import { openToPages } from "./pings.ts";
import { type ShownStatus, shownName } from "./status.ts";
import { countStates, findHeartbeat, findKeys, heartbeatsOf, type KeysRow, runningOf } from "./table.ts";

/** Heartbeats whose schedules are evaluated in one turn of the event loop. */
const ROWS_AT_ONCE = 100;

/** A badge's signature: the first 8 characters of the HMAC over the project's badge key and tag. */
export function signatureOf({ badgeKey, badgeSecret }: KeysRow, tag: string | null): string {
  const mac = createHmac("sha1", badgeSecret).update(`${badgeKey}:${tag ?? ""}`);
  return mac.digest("base64url").slice(0, 8);
}

function isSigned(keys: KeysRow, tag: string | null, signature: string): boolean {
  return secretsEqual(signatureOf(keys, tag), signature);
}

/** @param tag null: all heartbeats of the project. @param isShort two states, late counts as up */
export function badgeUrlOf(
  base: string,
  keys: KeysRow,
  tag: string | null,
  { format = "svg", isShort = false }: { readonly format?: BadgeFormat; readonly isShort?: boolean } = {},
): string {
  const signed = `${base}/badge/${keys.badgeKey}/${signatureOf(keys, tag)}${isShort ? "-2" : ""}`;
  return tag === null ? `${signed}.${format}` : `${signed}/${encodeURIComponent(tag)}.${format}`;
}

export type BadgeFormat = "svg" | "json" | "shields";

type BadgeStatus = "up" | "late" | "down" | "paused";

const COLOURS: Readonly<Record<BadgeStatus, { readonly svg: string; readonly shields: string }>> = {
  up: { svg: "#4c1", shields: "success" },
  late: { svg: "#fe7d37", shields: "important" },
  down: { svg: "#e05d44", shields: "critical" },
  paused: { svg: "#9f9f9f", shields: "inactive" },
};

/** One or several heartbeats, as a badge shows them. */
interface Summary {
  readonly total: number;
  readonly grace: number;
  readonly down: number;
}

function summaryOf(rows: readonly HeartbeatRow[], heartbeats: Heartbeats): Summary {
  const statuses = rows.map((row) => heartbeats.shownOf(row));
  const countOf = (wanted: string): number => statuses.filter((status) => status === wanted).length;
  return { total: rows.length, grace: countOf("grace"), down: countOf("down") };
}

function added(one: Summary, other: Summary): Summary {
  return { total: one.total + other.total, grace: one.grace + other.grace, down: one.down + other.down };
}

/** Badge files: each answers `<name>.<format>`; `-2` after the signature means two states. */
export function badgeRoutes(context: Pick<HeartbeatsContext, "db" | "heartbeats">): Route[] {
  const { db, heartbeats } = context;
  const common = { method: "GET", tag: "Heartbeats", access: "public", quiet: true, undocumented: true } as const;
  const summary = "Badge of heartbeats";

  const ofProject = async (
    exchange: Exchange,
    badgeKey: string,
    signature: string,
    tag: string | null,
    file: string,
  ) => {
    const named = fileOf(file);
    const isShort = signature.endsWith("-2");
    const keys = await findKeys(db.read, "badgeKey", badgeKey);
    if (!named || !keys || !isSigned(keys, tag, isShort ? signature.slice(0, -2) : signature)) throw noBadge();
    const [idle, rows] = await Promise.all([
      countStates(db.scan, keys.projectId, tag, heartbeats.moment),
      runningOf(db.scan, keys.projectId, tag),
    ]);
    const summary = added(idle, summaryOf(rows, heartbeats));
    return sendBadge(exchange, tag ?? "all", summary, { format: named.format, isShort });
  };

  return [
    route({
      ...common,
      path: "/badge/:key/:file",
      summary,
      handle(exchange) {
        const { key = "", file = "" } = exchange.params;
        return ofProject(exchange, key, fileOf(file)?.name ?? "", null, file);
      },
    }),
    route({
      ...common,
      path: "/badge/:key/:signature/:file",
      summary,
      handle(exchange) {
        const { key = "", signature = "", file = "" } = exchange.params;
        return ofProject(exchange, key, signature, fileOf(file)?.name ?? "", file);
      },
    }),
    route({
      ...common,
      path: "/b/:states/:file",
      summary,
      async handle(exchange) {
        const { states, file: name = "" } = exchange.params;
        const named = fileOf(name);
        const row = named && isUuid(named.name) ? await findHeartbeat(db.read, "badgeUuid", named.name) : undefined;
        if (!named || !row || (states !== "2" && states !== "3")) throw noBadge();
        const summary = summaryOf([row], heartbeats);
        const file = { format: named.format, isShort: states === "2" };
        return sendBadge(exchange, shownName(row), summary, file, row.status === "paused" ? "paused" : undefined);
      },
    }),
  ];
}

function fileOf(file: string): { name: string; format: BadgeFormat } | null {
  const match = /^(.+)\.(svg|json|shields)$/.exec(file);
  return match ? { name: match[1] as string, format: match[2] as BadgeFormat } : null;
}

function noBadge(): PrismError {
  return new PrismError("NOT_FOUND", "No such badge");
}

/** @param own the status of a single heartbeat that no count shows */
function sendBadge(
  exchange: Exchange,
  label: string,
  summary: Summary,
  { format, isShort }: { readonly format: BadgeFormat; readonly isShort: boolean },
  own?: BadgeStatus,
) {
  const status: BadgeStatus = own ?? (summary.down > 0 ? "down" : summary.grace > 0 && !isShort ? "late" : "up");
  openToPages(exchange);
  const headers = { "Cache-Control": "max-age=0, no-cache, no-store, must-revalidate, private" };
  if (format === "svg") {
    const body = badgeSvg(label, status);
    exchange.send(200, body, { ...headers, "Content-Type": "image/svg+xml" }, { fixedHeaders: MEDIA_HEADERS });
  } else {
    const shields = { schemaVersion: 1, label, message: status, color: COLOURS[status].shields };
    const body = format === "json" ? { status, ...summary } : shields;
    exchange.sendJson(200, JSON.stringify(body), headers);
  }
  return ANSWERS_LATER;
}

const CHARACTER_WIDTH = 7;
const PADDING = 10;

function badgeSvg(label: string, status: BadgeStatus): string {
  const text = [...label].slice(0, 60).join("");
  const left = [...text].length * CHARACTER_WIDTH + PADDING;
  const right = status.length * CHARACTER_WIDTH + PADDING;
  const word = (value: string, x: number): string =>
    `<text x="${x}" y="14" fill="#fff" text-anchor="middle">${escapeHtml(value)}</text>`;
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${left + right}" height="20" role="img">` +
    `<title>${escapeHtml(text)}: ${status}</title>` +
    `<rect rx="3" width="${left + right}" height="20" fill="#555"/>` +
    `<rect rx="3" x="${left}" width="${right}" height="20" fill="${COLOURS[status].svg}"/>` +
    `<g font-family="DejaVu Sans,Verdana,Geneva,sans-serif" font-size="11">` +
    `${word(text, left / 2)}${word(status, left + right / 2)}</g></svg>`
  );
}

/** Prometheus metrics of a project, with the names of Healthchecks. */
export function projectMetricsRoutes(context: HeartbeatsContext): Route[] {
  const { db, projects, principals, kernel } = context;
  const common = { method: "GET", tag: "Heartbeats", undocumented: true } as const;
  const summary = "Metrics of a project's heartbeats for Prometheus";
  const send = async (exchange: Exchange, principal: Principal) => {
    const projectId = projects.require(principal, exchange.params["project"] ?? "", "events:read");
    const rows = await heartbeatsOf(db.scan, projectId);
    exchange.send(200, await metricsText(rows, context.heartbeats), {
      "Content-Type": "text/plain; version=0.0.4; charset=utf-8",
    });
    return ANSWERS_LATER;
  };
  return [
    route({
      ...common,
      path: "/projects/:project/metrics/",
      aliases: ["/projects/:project/metrics"],
      summary,
      access: { permission: "events:read", within: "project", keyScope: "events:read", basic: true },
      handle: (exchange) => {
        if (!exchange.principal) throw new PrismError("UNAUTHENTICATED", "Send an API key");
        return send(exchange, exchange.principal);
      },
    }),
    route({
      ...common,
      path: "/projects/:project/metrics/:key",
      summary,
      access: "public",
      limit: (exchange) => kernel.limitAddress(exchange),
      handle: (exchange) =>
        send(exchange, principals.authenticate({ kind: "apiKey", secret: exchange.params["key"] ?? "" })),
    }),
  ];
}

async function metricsText(rows: readonly HeartbeatRow[], heartbeats: Heartbeats): Promise<string> {
  const lines: string[] = [];
  const shown: { row: HeartbeatRow; status: ShownStatus; labels: string }[] = [];
  const isTagUp = new Map<string, boolean>();
  for (const row of rows) {
    const status = heartbeats.shownOf(row);
    const labels = `{name="${quoted(shownName(row))}", tags="${quoted(row.tags)}", unique_key="${row.uniqueKey}"}`;
    shown.push({ row, status, labels });
    for (const tag of row.tags.split(" ").filter(Boolean))
      isTagUp.set(tag, status !== "down" && isTagUp.get(tag) !== false);
    if (shown.length % ROWS_AT_ONCE === 0) await setImmediate();
  }
  const gauge = (name: string, help: string, values: readonly (readonly [string, boolean | number])[]): void => {
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} gauge`);
    for (const [labels, value] of values) lines.push(`${name}${labels} ${Number(value)}`);
  };
  const each = (test: (item: (typeof shown)[number]) => boolean) =>
    shown.map((item) => [item.labels, test(item)] as const);
  gauge(
    "hc_check_up",
    "Whether the check is currently up (1 for yes, 0 for no).",
    each(({ status }) => status !== "down"),
  );
  gauge(
    "hc_check_started",
    "Whether the check is currently started (1 for yes, 0 for no).",
    each(({ row }) => row.lastStartAt !== null),
  );
  gauge(
    "hc_check_grace",
    "Whether the check is currently in its grace period (1 for yes, 0 for no).",
    each(({ status }) => status === "grace"),
  );
  gauge(
    "hc_check_paused",
    "Whether the check is currently paused (1 for yes, 0 for no).",
    each(({ status }) => status === "paused"),
  );
  const tags = [...isTagUp].sort(([one], [other]) => (one < other ? -1 : 1));
  gauge(
    "hc_tag_up",
    "Whether all checks with this tag are up (1 for yes, 0 for no).",
    tags.map(([tag, isUp]) => [`{tag="${quoted(tag)}"}`, isUp] as const),
  );
  gauge("hc_checks_total", "The total number of checks.", [["", rows.length]]);
  gauge("hc_checks_down_total", "The number of checks currently down.", [
    ["", shown.filter(({ status }) => status === "down").length],
  ]);
  return `${lines.join("\n")}\n`;
}

function quoted(text: string): string {
  return text.replace(/["\\]/g, "\\$&").replaceAll("\n", "\\n");
}
