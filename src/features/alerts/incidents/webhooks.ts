import type { EpochMs } from "../../../core/clock.ts";
import { PrismError } from "../../../core/errors.ts";
import { VERSION } from "../../../core/runtime.ts";
import type { Trx } from "../../../store/database.ts";
import { PermanentError, type RunningJob } from "../../jobs/index.ts";
import type { PolicyStep } from "../policies/policy.ts";
import type { IncidentParts } from "./context.ts";
import type { NoticeReason } from "./machine.ts";
import { findIncident, type IncidentRow } from "./store.ts";
import { type Post, postOf, recordPost } from "./webhook-post.ts";

/* Webhook steps: jobs that post the state of an incident. Their addresses may hold secrets, so jobs,
 * the timeline and errors name the step and the host only. */

const WEBHOOK_JOB = "incident.webhook";

interface WebhookPayload {
  readonly incidentId: string;
  readonly step: number;
  readonly reason: NoticeReason;
  readonly at: EpochMs;
}

type WebhookStep = Extract<PolicyStep, { type: "webhook" }>;

/** @param number of the notice, so that a repeated request can be recognised */
export async function enqueueWebhook(
  { jobs }: IncidentParts,
  trx: Trx,
  { id }: IncidentRow,
  call: { readonly step: number; readonly reason: NoticeReason; readonly number: number; readonly now: EpochMs },
): Promise<void> {
  const { step, reason, number, now } = call;
  const payload: WebhookPayload = { incidentId: id, step, reason, at: now };
  const dedupeKey = `incident:${id}:${number}:webhook:${step}`;
  const kind = { queue: "notification-delivery", kind: WEBHOOK_JOB } as const;
  await jobs.enqueue({ ...kind, payload, runAt: now, priority: 800, dedupeKey, correlationId: id }, { trx });
}

export function handleWebhooks(parts: IncidentParts): void {
  parts.runner.handle(WEBHOOK_JOB, (job, signal) => call(parts, job, signal));
}

async function call(parts: IncidentParts, job: RunningJob, signal: AbortSignal): Promise<unknown> {
  const payload = job.payload as WebhookPayload;
  const row = await findIncident(parts.db.read, payload.incidentId);
  const step = row && webhookOf(parts, row, payload.step);
  if (!row || !step) return { skipped: "the incident or its webhook is gone" };
  const { reason, at } = payload;
  const post = await postOf(parts, row, step, { reason, at, since: at, id: job.id });
  if ("skipped" in post) await recordPost(parts, row.id, payload.step, post);
  if ("skipped" in post) return { skipped: post.skipped };
  const status = await send(parts, step, post, { id: job.id, signal });
  await recordPost(parts, row.id, payload.step, post);
  return { status };
}

async function send(
  parts: IncidentParts,
  step: WebhookStep,
  { body }: Post,
  { id, signal }: { readonly id: string; readonly signal: AbortSignal },
): Promise<number> {
  const agent = step.format === "alertmanager" ? "Alertmanager/0.34.0" : `Prism/${VERSION}`;
  const headers = { "Content-Type": "application/json", "User-Agent": agent, "webhook-id": id };
  const { status } = await parts
    .callWebhook(step.url, { headers, body: body.bytes, signal })
    .catch((error: unknown) => {
      throw withoutAddress(error, step);
    });
  return requireAccepted(status, step);
}

/** The step as the incident keeps it. */
export function webhookOf(
  { policies }: IncidentParts,
  { policyId, policyVersion }: IncidentRow,
  step: number,
): WebhookStep | undefined {
  const found = policies.definitionOf({ id: policyId, version: policyVersion }).steps[step];
  return found?.type === "webhook" ? found : undefined;
}

const STRONGEST: readonly NoticeReason[] = ["step", "new-alerts", "resolved", "some-resolved", "repeat"];

/** Which reason one call states if there are two, as in Alertmanager. */
export function strongerOf(left: NoticeReason, right: NoticeReason): NoticeReason {
  return STRONGEST.indexOf(left) < STRONGEST.indexOf(right) ? left : right;
}

export function hostOf({ url }: WebhookStep): string {
  return URL.canParse(url) ? new URL(url).host : "";
}

function requireAccepted(status: number, step: WebhookStep): number {
  if (status >= 200 && status < 300) return status;
  const message = `${hostOf(step)} answered ${status}`;
  const isFinal = status >= 400 && status < 500 && status !== 408 && status !== 429;
  throw isFinal ? new PermanentError(message) : new Error(message);
}

/** Errors of a client may hold the whole address. */
function withoutAddress(error: unknown, step: WebhookStep): Error {
  const isRefused = error instanceof PermanentError || (error instanceof PrismError && error.code === "URL_REFUSED");
  if (isRefused) return new PermanentError(`requests to ${hostOf(step)} are refused`);
  const code = Object(error) as { readonly code?: unknown; readonly name?: unknown };
  return new Error(`${hostOf(step)} was not reached (${String(code.code ?? code.name ?? "error")})`);
}
