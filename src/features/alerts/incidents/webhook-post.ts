import type { EpochMs } from "../../../core/clock.ts";
import type { Trx } from "../../../store/database.ts";
import type { PolicyStep } from "../policies/policy.ts";
import type { RouteSettings } from "../policies/routing.ts";
import { isWithheld } from "../silences/withholding.ts";
import type { AlertView } from "../types.ts";
import type { IncidentParts } from "./context.ts";
import { pagedAlert } from "./direct.ts";
import { leftOutOf } from "./facts.ts";
import { lookAgain, type NoticeReason } from "./machine.ts";
import { noticeCounts } from "./page-view.ts";
import {
  addLog,
  findIncident,
  firingIn,
  type IncidentRow,
  reportedMembers,
  saveIncident,
  settingsOf,
  unresolvedOf,
} from "./store.ts";
import { noteChanged } from "./view.ts";
import { type Body, bodyOf, type EntryRules, entriesOf } from "./webhook-bodies.ts";

/* What a webhook step posts, read when it is sent: what is sent late says what is true now. */

/** Alerts in a row of the timeline; the others are in webhooks again with the next repetition. */
const MAX_LEFT_OUT = 1000;

/** Why a webhook is called. */
export interface PostCause {
  readonly reason: NoticeReason;
  /** When the incident decided to notify. */
  readonly at: EpochMs;
  /** When it decided the first notice that this webhook has not accepted yet: ends since then are reported. */
  readonly since: EpochMs;
  /** Id of the message. */
  readonly id: string;
}

export interface Post {
  readonly body: Body;
  /** Firing alerts that something withholds. */
  readonly leftOut: readonly string[];
}

/** Nothing is posted. */
export interface NoPost extends Pick<Post, "leftOut"> {
  readonly skipped: string;
}

/** Makes the body of a webhook step. Nothing is stored. */
export async function postOf(
  parts: IncidentParts,
  row: IncidentRow,
  step: Extract<PolicyStep, { type: "webhook" }>,
  { reason, at, since, id }: PostCause,
): Promise<Post | NoPost> {
  const { name, sendResolved } = parts.policies.definitionOf({ id: row.policyId, version: row.policyVersion });
  const isPaged = row.direct !== null && step.format === "alertmanager";
  const alerts = isPaged
    ? [pagedAlert(row)]
    : await parts.alerts().read(await reportedMembers(parts.db.read, row.id, since));
  const { shown: entries, leftOut } = await entriesOf(alerts, await rulesOf(parts, row, sendResolved));
  if (entries.length === 0 && row.alerts > 0)
    return { skipped: "its alerts are withheld, or fire in a later incident", leftOut };
  const notices = step.format === "prism" ? await noticeCounts(parts.db.read, row.id) : null;
  const content = { row, policy: name, entries, reason, at, id, publicUrl: parts.publicUrl(), notices };
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

/** Stores what a post that was accepted, or skipped, did not name. */
export async function recordPost(
  parts: IncidentParts,
  trx: Trx,
  incidentId: string,
  step: number,
  post: Post | NoPost,
): Promise<void> {
  const isCut = "body" in post && post.body.isTooLarge;
  if (!isCut && post.leftOut.length === 0) return;
  const row = await findIncident(trx, incidentId);
  if (!row) return;
  if (isCut) await logCut(parts, trx, row, { step, shown: post.body.shown, truncated: post.body.truncated });
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
