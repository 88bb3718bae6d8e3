import { createHash } from "node:crypto";
import { PrismError } from "../../../core/errors.ts";
import { uuidv7 } from "../../../core/ids.ts";
import { VERSION } from "../../../core/runtime.ts";
import { SharedReads } from "../../../core/shared-reads.ts";
import type { EpochMs } from "../../../core/time/clock.ts";
import { rowsOf, rowsOfAll, type Trx } from "../../../store/database.ts";
import {
  type AcceptedPage,
  type NewPage,
  NoAnswer,
  type NotSent,
  notAccepted,
  type PageKind,
  type PageRow,
  preceded,
  readRetryAfter,
  Throttled,
} from "../../delivery/index.ts";
import { COMPLETED, PermanentError } from "../../time/jobs/index.ts";
import type { PolicyRef } from "../policies/policies.ts";
import type { PolicyStep } from "../policies/policy.ts";
import type { RouteSettings } from "../policies/routing.ts";
import { isWithheld } from "../silences/withholding.ts";
import type { AlertView } from "../types.ts";
import { reportedAlerts } from "./changes/reported.ts";
import type { IncidentParts, WebhookAnswer } from "./context.ts";
import { pagedAlert } from "./direct.ts";
import { leftOutOf } from "./facts.ts";
import type { AlertSeverity, IncidentRow } from "./incident.ts";
import { lookAgain, type NoticeReason } from "./machine.ts";
import { noticeCounts } from "./page-view.ts";
import {
  addLog,
  findIncident,
  firingIn,
  incidentsOf,
  type ReportedMember,
  reportedMembers,
  saveIncident,
  settingsOf,
  unresolvedOf,
} from "./store.ts";
import { noteChanged } from "./view.ts";
import { type Body, bodyOf, type EntryRules, entriesOf } from "./webhook-bodies.ts";

/* Webhook steps: pages that post the state of an incident. Their addresses may hold secrets, so pages,
 * the timeline and errors name the step and the host only. */

/** The data of a webhook's page. */
interface WebhookContent {
  readonly step: number;
  readonly reason: NoticeReason;
  readonly at: EpochMs;
  /** The policy of the step, if it is not the incident's: a fallback. */
  readonly policy?: Pick<PolicyRef, "id" | "version">;
  readonly severityBefore?: AlertSeverity;
  readonly movedTo?: number;
}

type WebhookStep = Extract<PolicyStep, { type: "webhook" }>;

/** Adds the page of a webhook step: its body is made when it is sent. */
export async function pageWebhook(
  parts: IncidentParts,
  trx: Trx,
  row: IncidentRow,
  call: {
    readonly index: number;
    readonly step: WebhookStep;
    readonly reason: NoticeReason;
    readonly now: EpochMs;
    readonly policy?: Pick<PolicyRef, "id" | "version">;
    /** The incident has no earlier pages. */
    readonly isFirst?: boolean;
    readonly severityBefore?: AlertSeverity | null;
    readonly movedTo?: number | null;
  },
): Promise<string> {
  const { index, step, reason, now, policy, isFirst, severityBefore, movedTo } = call;
  const { id: incidentId, projectId } = row;
  const content: WebhookContent = {
    ...{ step: index, reason, at: now },
    ...(policy && { policy }),
    ...(severityBefore && { severityBefore }),
    ...(movedTo && { movedTo }),
  };
  const way = policy ? `webhook ${policy.id} ${index}` : `webhook ${index}`;
  const id = uuidv7();
  const page: NewPage = {
    ...{ id, incidentId, projectId, kind: "webhook" as const, way, step: index, content },
    ...placeOf(step, projectId),
    ...{ reason, urgency: "high" as const, isEnd: reason === "resolved" },
  };
  await parts.pages.add(trx, [page], { isFirst });
  return id;
}

/** Of a step of a version of a policy, which does not change. */
const places = new WeakMap<WebhookStep, Pick<NewPage, "target" | "provider">>();

/** Webhooks with the same address share a queue. Addresses may hold secrets: their hash names it. */
export function placeOf(step: WebhookStep, projectId: string) {
  const known = places.get(step) ?? {
    target: `webhook ${createHash("sha256").update(step.url).digest("hex").slice(0, 24)}`,
    provider: `host ${hostOf(step)}`,
  };
  places.set(step, known);
  return { ...known, owner: `project ${projectId}` };
}

/** Sends the pages of webhooks. */
export function webhookPages(parts: IncidentParts): PageKind {
  const facts = new SharedReads((pages: readonly PageRow[]) => readFacts(parts, pages));
  return { atOnce: 8, needsRecord: true, send: (page, { signal }) => send(parts, facts, page, signal) };
}

/** What a page is made of. */
interface Facts {
  readonly row: IncidentRow | undefined;
  /** What it may name, if no page of its way is before it. */
  readonly reported: readonly ReportedMember[];
  readonly isFirst: boolean;
}

async function readFacts(parts: IncidentParts, pages: readonly PageRow[]): Promise<Facts[]> {
  const ids = [...new Set(pages.map(({ incidentId }) => incidentId))];
  const asked = pages.map((page) => [page.id, page.incidentId, decidedAt(page)] as const);
  const all = [incidentsOf(ids), reportedMembers(asked), preceded(pages)];
  type Rows = [IncidentRow[], ReportedMember[], { readonly id: string }[]];
  const [found, reported, preceding] = (await rowsOfAll(parts.db.read, all)) as Rows;
  const rows = new Map(found.map((row) => [row.id, row]));
  const byPage = Map.groupBy(reported, ({ pageId }) => pageId);
  const withEarlier = new Set(preceding.map(({ id }) => id));
  return pages.map(({ id, incidentId }) => ({
    row: rows.get(incidentId),
    reported: byPage.get(id) ?? [],
    isFirst: !withEarlier.has(id),
  }));
}

function reportedSince(parts: IncidentParts, page: PageRow, row: IncidentRow, since: EpochMs) {
  const { sql, parameters } = reportedMembers([[page.id, row.id, since]]);
  return rowsOf<ReportedMember>(parts.db.read, sql, parameters);
}

async function send(
  parts: IncidentParts,
  facts: SharedReads<PageRow, Facts>,
  page: PageRow,
  signal: AbortSignal,
): Promise<AcceptedPage | NotSent> {
  const { step: index, reason, at, policy, ...told } = JSON.parse(page.content) as WebhookContent;
  const known = await facts.of(page);
  const { row } = known;
  const step = row && webhookOf(parts, policy ?? { id: row.policyId, version: row.policyVersion }, index);
  if (!row || !step) return { skipped: "the incident is gone" };
  const earlier = known.isFirst ? [] : await notAccepted(parts.db.read, page);
  const since = Math.min(at, ...earlier.map(decidedAt));
  const reported = since === at ? known.reported : await reportedSince(parts, page, row, since);
  const post = await postOf(parts, row, step, { reason, at, since, reported, page, ...told });
  const record = (trx: Trx): Promise<void> => recordPost(parts, trx, row.id, index, post);
  if ("skipped" in post) return { skipped: post.skipped, record };
  const agent = step.format === "alertmanager" ? "Alertmanager/0.34.0" : `Prism/${VERSION}`;
  const { channel } = step;
  const access = channel === undefined ? null : await parts.channels().accessFor(channel, row.projectId, step.url);
  const own = { "Content-Type": "application/json", "User-Agent": agent, "webhook-id": page.id };
  const request = { headers: { ...access?.headers, ...own }, tls: access?.tls, body: post.body.bytes, signal };
  const answer = await parts.callWebhook(step.url, request).catch((error: unknown) => {
    throw signal.aborted ? error : withoutAddress(error, step);
  });
  requireAccepted(answer, step, parts.clock.toWall(parts.clock.now()));
  const accepted = { answer: String(answer.status) };
  if (!access && !isToRecord(post)) return accepted;
  return {
    ...accepted,
    record: async (trx) => {
      await record(trx);
      await access?.accepted(trx);
    },
  };
}

function decidedAt({ content }: PageRow): EpochMs {
  return (JSON.parse(content) as WebhookContent).at;
}

/** Jobs of an earlier version of Prism become pages. */
export function adoptWebhookJobs(parts: IncidentParts): void {
  parts.runner.handle("incident.webhook", async (job) => {
    const { incidentId, step: index, reason, at } = job.payload as WebhookContent & { readonly incidentId: string };
    await parts.db.write(async (trx) => {
      await parts.jobs.complete(job, trx);
      const row = await findIncident(trx, incidentId);
      const step = row && webhookOf(parts, { id: row.policyId, version: row.policyVersion }, index);
      if (row && step) await pageWebhook(parts, trx, row, { index, step, reason, now: at });
    });
    return COMPLETED;
  });
}

/** The webhook step of a version of a policy. */
export function webhookOf(
  { policies }: Pick<IncidentParts, "policies">,
  policy: Pick<PolicyRef, "id" | "version">,
  step: number,
): WebhookStep | undefined {
  const found = policies.definitionOf(policy).steps[step];
  return found?.type === "webhook" ? found : undefined;
}

const STRONGEST: readonly NoticeReason[] = [
  "severity-raised",
  "step",
  "new-alerts",
  "resolved",
  "some-resolved",
  "repeat",
];

/** The reason that a call states if there are two, as in Alertmanager. */
export function strongerOf(left: NoticeReason, right: NoticeReason): NoticeReason {
  return STRONGEST.indexOf(left) < STRONGEST.indexOf(right) ? left : right;
}

export function hostOf({ url }: WebhookStep): string {
  return URL.canParse(url) ? new URL(url).host : "";
}

/** @throws what the answer means for the page */
function requireAccepted({ status, retryAfter }: WebhookAnswer, step: WebhookStep, wallNow: EpochMs): void {
  if (status >= 200 && status < 300) return;
  const message = `${hostOf(step)} answered ${status}`;
  const waitMs = status === 429 || status === 503 ? readRetryAfter(retryAfter, wallNow) : undefined;
  if (waitMs !== undefined) throw new Throttled(message, waitMs);
  const isFinal = status >= 300 && status < 500 && status !== 408 && status !== 425 && status !== 429;
  throw isFinal ? new PermanentError(message) : new Error(message);
}

/** Errors may hold the whole address, except those that say what a call did not get. */
function withoutAddress(error: unknown, step: WebhookStep): Error {
  const isRefused = error instanceof PermanentError || (error instanceof PrismError && error.code === "URL_REFUSED");
  if (isRefused) return new PermanentError(`requests to ${hostOf(step)} are refused`);
  if (error instanceof NoAnswer) {
    const { message, phase, timedOut } = error;
    return new NoAnswer(`${hostOf(step)}: ${message}`, { phase, timedOut });
  }
  const { code, name } = Object(error) as { readonly code?: unknown; readonly name?: unknown };
  return new NoAnswer(`${hostOf(step)} was not reached (${String(code ?? name ?? "error")})`);
}

/* Body of a webhook step, read when it is sent: a late call says what is true then. */

/** Alerts in a row of the timeline; the others are in webhooks again with the next repetition. */
const MAX_LEFT_OUT = 1000;

/** Why a webhook is called. */
interface PostCause {
  readonly reason: NoticeReason;
  /** When the incident decided to notify. */
  readonly at: EpochMs;
  /** When it decided the first notice that this webhook has not accepted yet: ends since then are reported. */
  readonly since: EpochMs;
  readonly reported: readonly ReportedMember[];
  readonly page: PageRow;
  readonly severityBefore?: AlertSeverity | null;
  readonly movedTo?: number | null;
}

interface Post {
  readonly body: Body;
  /** Firing alerts that something withholds. */
  readonly leftOut: readonly string[];
}

/** Nothing is posted. */
interface NoPost extends Pick<Post, "leftOut"> {
  readonly skipped: string;
}

/** Makes the body of a webhook step. Nothing is stored. */
async function postOf(
  parts: IncidentParts,
  row: IncidentRow,
  step: Extract<PolicyStep, { type: "webhook" }>,
  { reason, at, since, reported, page, severityBefore = null, movedTo = null }: PostCause,
): Promise<Post | NoPost> {
  const { name, sendResolved } = parts.policies.definitionOf({ id: row.policyId, version: row.policyVersion });
  const sendsEnds = sendResolved && step.sendResolved !== false;
  const isPaged = row.direct !== null && step.format === "alertmanager";
  const alerts = isPaged ? [pagedAlert(row)] : await reportedAlerts(parts, reported, { step, since, page });
  const { shown: entries, leftOut } = await entriesOf(alerts, await rulesOf(parts, row, sendsEnds));
  // The end of a moved incident says where its alerts are, without naming them.
  const isMove = step.format === "prism" && row.resolvedBy === "moved";
  if (entries.length === 0 && row.alerts > 0 && !isMove)
    return { skipped: "its alerts are silenced, inhibited or muted, or fire in a later incident", leftOut };
  const notices = step.format === "prism" ? await noticeCounts(parts.db.read, row.id) : null;
  const told = { severityBefore, movedTo, notices };
  const content = { row, policy: name, entries, reason, at, id: page.id, publicUrl: parts.publicUrl(), ...told };
  return { body: await bodyOf(step, content), leftOut };
}

async function rulesOf(parts: IncidentParts, row: IncidentRow, sendResolved: boolean): Promise<EntryRules> {
  const { projectId } = row;
  const { muteIntervals, activeIntervals } = JSON.parse(row.route) as RouteSettings;
  const now = parts.clock.now();
  const isEnded = row.state === "resolved";
  const later = isEnded ? await unresolvedOf(parts.db.read, row) : undefined;
  const route = { projectId, muteIntervals, activeIntervals };
  const isLeftOut = (alert: AlertView): boolean =>
    row.direct === null && isWithheld(parts.withheldBy(alert, route, now));
  const firingLater = later ? await firingIn(parts.db.read, later.id) : new Set<string>();
  return { isEnded, firingLater, sendResolved, isWithheld: isLeftOut };
}

function isToRecord(post: Post | NoPost): boolean {
  return isCut(post) || post.leftOut.length > 0;
}

function isCut(post: Post | NoPost): post is Post {
  return "body" in post && post.body.isTooLarge;
}

/** Stores what a post that was accepted, or skipped, did not name. */
async function recordPost(
  parts: IncidentParts,
  trx: Trx,
  incidentId: string,
  step: number,
  post: Post | NoPost,
): Promise<void> {
  if (!isToRecord(post)) return;
  const row = await findIncident(trx, incidentId);
  if (!row) return;
  if (isCut(post)) await logCut(parts, trx, row, { step, shown: post.body.shown, truncated: post.body.truncated });
  await recordLeftOut(parts, trx, row, post.leftOut.slice(0, MAX_LEFT_OUT));
}

async function logCut(
  { clock }: IncidentParts,
  trx: Trx,
  { id }: IncidentRow,
  data: { readonly step: number; readonly shown: number; readonly truncated: number },
): Promise<void> {
  addLog(trx, id, [{ kind: "webhook-shortened", data }], clock.now());
}

/** The incident is looked at again while they fire and are withheld. */
async function recordLeftOut(
  { policies, clock }: IncidentParts,
  trx: Trx,
  row: IncidentRow,
  alertIds: readonly string[],
): Promise<void> {
  if (alertIds.length === 0 || row.state === "resolved") return;
  const known = await leftOutOf(trx, row.id);
  if (alertIds.length === known.size && alertIds.every((id) => known.has(id))) return;
  const now = clock.now();
  addLog(trx, row.id, [{ kind: "left-out", data: { alerts: alertIds.length, alertIds } }], now);
  const saved = saveIncident(trx, row, lookAgain(row, settingsOf(policies, row), now), now);
  noteChanged(trx, [saved], { holds: { flush: true } });
}
