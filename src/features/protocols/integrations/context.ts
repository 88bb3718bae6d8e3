import { PrismError } from "../../../core/errors.ts";
import type { EpochMs } from "../../../core/time/clock.ts";
import type { JsonMembers } from "../../../http/body/input.ts";
import type { Exchange } from "../../../http/server/exchange.ts";
import type { Context } from "../../../module/feature.ts";
import type { InTransaction, Trx } from "../../../store/database.ts";
import { type Alerts, type AlertView, unresolvedOfAlert } from "../../alerts/index.ts";
import type { Integration } from "./integrations.ts";

/** Who acts on an incident: `integration:<id>`. */
interface Actor {
  readonly id: string;
  readonly via: string;
}

/** Needs of the routes of both protocols. */
export type ProtocolContext = Context<
  "projects" | "alerts" | "incidents" | "integrations" | "claims" | "onCall" | "forwarding"
>;

/** Resolves what an integration opened; nothing happens if it does not fire. */
export async function resolveAlert(context: ProtocolContext, integration: Integration, key: string): Promise<void> {
  await submit(context, integration, key, { labels: {}, endsAt: context.clock.now(), resolvesAtOnce: true });
}

type Content = Pick<
  Parameters<Alerts["submit"]>[0][number],
  "labels" | "annotations" | "generatorUrl" | "severity" | "startsAt" | "endsAt" | "resolvesAtOnce"
>;

/** Reports one alert. @param options a transaction without `sharesCommit`. @throws VALIDATION_FAILED, STORAGE_FULL, DATABASE_UNAVAILABLE */
export async function submit(
  { alerts }: ProtocolContext,
  { id, projectId, kind }: Integration,
  key: string,
  content: Content,
  options: InTransaction = {},
): Promise<AlertView | null> {
  const [outcome] = await alerts.submit(
    [{ projectId, source: kind, sourceId: id, sender: `integration:${id}`, key, ...content }],
    options,
  );
  if (outcome?.status === "refused") throw outcome.error;
  return outcome?.alert ?? null;
}

/**
 * Fires an alert. While it fires, its labels stay as they were first: another label would move it to
 * another incident. Those of the integration win over those of the sender.
 * @param ratesAgain a later report may change the severity, also in the labels
 */
export function fire(
  context: ProtocolContext,
  integration: Integration,
  key: string,
  content: Content,
  { ratesAgain = false, ...options }: { readonly ratesAgain?: boolean } & InTransaction = {},
): Promise<AlertView | null> {
  const live = context.alerts.byKey(integration.projectId, key);
  const own = { ...content.labels, ...integration.labels };
  if (!live) return submit(context, integration, key, { ...content, labels: own }, options);
  const { labels, severity, startsAt } = live;
  const { severity: rated } = own;
  const rating =
    ratesAgain && rated ? { labels: { ...labels, severity: rated }, severity: rated } : { labels, severity };
  return submit(context, integration, key, { ...content, ...rating, startsAt }, options);
}

/** Acts on each incident of an alert that is not resolved. @returns whether there was one */
export async function actOnIncidents(
  { db }: ProtocolContext,
  integration: Integration,
  alertId: string,
  act: (incidentId: string, actor: Actor, options: { readonly trx: Trx }) => Promise<unknown>,
): Promise<boolean> {
  const actor = { id: `integration:${integration.id}`, via: "integration" };
  return db.write(async (trx) => {
    const ids = await unresolvedOfAlert(trx, alertId);
    for (const id of ids) await act(id, actor, { trx });
    return ids.length > 0;
  });
}

/** @throws VALIDATION_FAILED */
export function requireObject(value: unknown): JsonMembers {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as JsonMembers;
  throw new PrismError("VALIDATION_FAILED", "The body must be a JSON object");
}

/** A text, trimmed; undefined for a missing, empty or other value. Numbers are texts. */
export function textIn(object: JsonMembers, name: string): string | undefined {
  const value = object[name];
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (typeof value !== "string") return undefined;
  return value.trim() === "" ? undefined : value.trim();
}

/** Entries that have a text. */
export function present(entries: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(entries).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

/** A link that a browser opens; null for any other text. */
export function linkIn(object: JsonMembers, name: string): string | null {
  const text = textIn(object, name);
  return text !== undefined && text.length <= 8192 && URL.canParse(text) && /^https?:/i.test(text) ? text : null;
}

/** ISO 8601, also with an offset without a colon. @returns undefined if it is none, or in the future */
export function pastInstant(text: string | undefined, now: EpochMs): EpochMs | undefined {
  const at = text === undefined ? Number.NaN : Date.parse(text.replace(/([+-]\d\d)(\d\d)$/, "$1:$2"));
  return at <= now && at > 0 ? at : undefined;
}

/** The bytes of a request that a mirror may pass on, before its handler waits: then they are no longer valid. */
export function keptBytes({ projects }: ProtocolContext, body: unknown): Buffer | null {
  return projects.hasMirrors ? Buffer.from((body as Uint8Array | undefined) ?? []) : null;
}

/** Passes an accepted request of a mirror on, once it is stored. @param bytes of {@link keptBytes} */
export async function passOn(
  { forwarding }: ProtocolContext,
  integration: Integration,
  exchange: Exchange,
  bytes: Buffer | null,
): Promise<void> {
  if (bytes === null || !forwarding.takes(integration)) return;
  const headers = Object.fromEntries(exchange.headerNames().map((name) => [name, exchange.header(name)]));
  const { method, path, queryText: query } = exchange;
  await forwarding.keepAlone({ ...integration, kind: "integrations" }, { method, path, query, headers, bytes });
}
