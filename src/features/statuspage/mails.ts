import type { Selectable } from "kysely";
import type { Config } from "../../config/load.ts";
import { signing } from "../../core/crypto/hmac.ts";
import { secretsEqual } from "../../core/crypto/tokens.ts";
import { isUuid } from "../../core/ids.ts";
import { plainWords } from "../../core/text/clean-text.ts";
import { DAY_MS, type EpochMs } from "../../core/time/clock.ts";
import type { Uses } from "../../module/feature.ts";
import type { Trx } from "../../store/database.ts";
import type { StatusSentTable } from "../../store/schema.ts";
import { enqueueMail } from "../delivery/index.ts";
import { COMPLETED, type RunningJob } from "../time/jobs/index.ts";
import type { NoticeRow, SubscriberRow } from "./notice.ts";
import { SUBSCRIPTION_SETTINGS } from "./schema.ts";
import { type NoticeUpdate, PENDING_MS, type StatusPageRow } from "./table.ts";
import { COMPONENT_WORDS, NOTICE_WORDS } from "./words.ts";

/** Mails about one component are at least this far apart. */
const COMPONENT_EVERY_MS = 300_000;
const QUEUE = "notification-delivery";
const CHANGE_JOB = "status-change";
const MAIL_JOB = "status-mail";
/** Mails per transaction. */
const BATCH = 200;
const PRIORITY = 400;

export type MailParts = Uses<"db" | "clock" | "box" | "jobs" | "runner" | "settings" | "statusPages">;

export function addressSealContext(id: string): string {
  return `status_subscribers.address.${id}`;
}

/** Subscribing needs a mail server, a public address for the links, and that the operator allows it. */
export function subscriptionsLack(
  { settings }: Uses<"settings">,
  row: StatusPageRow | null,
): (typeof SUBSCRIPTION_SETTINGS)[number][] {
  const { publicUrl, smtp, statusPages } = settings.current;
  const isAllowed = statusPages.subscriptions || row?.keepsSubscriptions === 1;
  const has = { "smtp.host": smtp.host !== undefined, publicUrl: publicUrl !== undefined };
  return SUBSCRIPTION_SETTINGS.filter((key) => !{ ...has, "statusPages.subscriptions": isAllowed }[key]);
}

export function canSubscribe(parts: Uses<"settings">, row: StatusPageRow | null): boolean {
  return subscriptionsLack(parts, row).length === 0;
}

type LinkUse = "confirm" | "unsubscribe";

/** The key has no other use. */
function keyed({ secrets }: Pick<Config, "secrets">, text: string): string {
  return signing(secrets, "prism status page subscriptions").update(text).digest("base64url");
}

export function addressHash({ settings }: Uses<"settings">, address: string): string {
  return keyed(settings.current, `address ${address.toLowerCase()}`);
}

export function readToken({ settings }: Uses<"settings">, use: LinkUse, token: string): string | null {
  const [id = "", signature = ""] = token.split(".");
  return isUuid(id) && secretsEqual(signature, keyed(settings.current, `${use} ${id}`)) ? id : null;
}

function linkOf({ settings }: Uses<"settings">, slug: string, use: LinkUse, id: string): string {
  return `${pageUrl(settings.current.publicUrl, slug)}/${use}?token=${id}.${keyed(settings.current, `${use} ${id}`)}`;
}

export function pageUrl(publicUrl: string | undefined, slug: string): string {
  return `${(publicUrl ?? "").replace(/\/+$/, "")}/status/${slug}`;
}

/** Asks the holder of an address to confirm it. The mail goes to anyone: it has no text that forms a link. */
export async function mailConfirmation(
  parts: MailParts,
  trx: Trx,
  row: SubscriberRow,
  page: { slug: string; title: string },
) {
  const link = linkOf(parts, page.slug, "confirm", row.id);
  const name = plainWords(page.title);
  const text = `There was a request to send status updates of ${name} to this address.

Confirm it here, within seven days:
${link}

If it was not you, ignore this mail: nothing more is sent.
`;
  const mail = { to: addressOf(parts, row), subject: `Confirm: status updates of ${name}`, text };
  await enqueueMail(parts, { ...mail, projectId: row.projectId, expiresAt: row.createdAt + PENDING_MS }, trx);
}

export function addressOf(
  { box }: Pick<MailParts, "box">,
  { id, address }: Pick<SubscriberRow, "id" | "address">,
): string {
  return box.open(addressSealContext(id), address).toString();
}

interface ChangePayload {
  readonly projectId: string;
  readonly componentId: string;
}

/** Enqueues the mails about a component's state, or lets a job that waits send the latest one. */
export async function enqueueChange(
  { jobs, clock }: Pick<MailParts, "jobs" | "clock">,
  trx: Trx,
  payload: ChangePayload,
): Promise<void> {
  const { componentId } = payload;
  const sent = await trx
    .selectFrom("status_sent")
    .select("at")
    .where("componentId", "=", componentId)
    .executeTakeFirst();
  const now = clock.now();
  const runAt = sent ? Math.min(Math.max(now, sent.at + COMPONENT_EVERY_MS), now + COMPONENT_EVERY_MS) : now;
  const dedupeKey = `status:${componentId}`;
  await jobs.enqueue({ queue: QUEUE, kind: CHANGE_JOB, payload, runAt, priority: PRIORITY, dedupeKey }, { trx });
}

interface MailPayload {
  readonly projectId: string;
  readonly subject: string;
  readonly text: string;
  /** Mails about one notice or component form a thread. */
  readonly thread?: string;
  /** Subscribers up to this id have their mail. */
  readonly after: string;
  readonly expiresAt: EpochMs;
}

/** Mails about a new notice or an update of one. */
export async function enqueueNotice(
  parts: MailParts,
  trx: Trx,
  notice: NoticeRow,
  update: NoticeUpdate,
): Promise<void> {
  const page = parts.statusPages.of(notice.projectId);
  if (!page?.document.enabled || !page.document.subscriptions) return;
  const when =
    notice.kind === "maintenance" && notice.endsAt !== null
      ? `\nPlanned: ${instantText(notice.startsAt)} to ${instantText(notice.endsAt)}\n`
      : "";
  const subject = `${page.document.title}: ${notice.title} (${NOTICE_WORDS[update.state]})`;
  const mail = { subject, text: `${update.text}\n${when}`, thread: `notice.${notice.id}` };
  await enqueueMails(parts, trx, notice.projectId, mail);
}

function instantText(at: EpochMs): string {
  return `${new Date(at).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}

async function enqueueMails(
  { jobs, clock }: MailParts,
  trx: Trx,
  projectId: string,
  mail: Pick<MailPayload, "subject" | "text" | "thread">,
) {
  const payload: MailPayload = { projectId, ...mail, after: "", expiresAt: clock.now() + DAY_MS };
  await jobs.enqueue({ queue: QUEUE, kind: MAIL_JOB, payload, runAt: clock.now(), priority: PRIORITY }, { trx });
}

export function handleMails(parts: MailParts): void {
  parts.runner.handle(CHANGE_JOB, (job) => sendChange(parts, job));
  parts.runner.handle(MAIL_JOB, (job) => sendBatch(parts, job));
}

async function sendChange(parts: MailParts, job: RunningJob): Promise<typeof COMPLETED> {
  const { db, jobs, clock, statusPages } = parts;
  const { projectId, componentId } = job.payload as ChangePayload;
  await db.write(async (trx) => {
    const { last, known } = await statesOf(trx, componentId);
    const document = statusPages.of(projectId)?.document;
    const name = document?.groups.flatMap(({ components }) => components).find(({ id }) => id === componentId)?.name;
    if (last && name !== undefined && document?.enabled && document.subscriptions && last.state !== known) {
      await noteSent(trx, { componentId, projectId, state: last.state, at: clock.now() });
      const [now, before] = [COMPONENT_WORDS[last.state], COMPONENT_WORDS[known]];
      await enqueueMails(parts, trx, projectId, {
        subject: `${document.title}: ${name} (${now})`,
        text: `${name}: ${now}\nBefore: ${before}\n`,
        thread: `component.${componentId}`,
      });
    }
    await jobs.complete(job, trx);
  });
  return COMPLETED;
}

/** The latest state of a component, and the one that subscribers know. */
async function statesOf(trx: Trx, componentId: string) {
  const last = await trx
    .selectFrom("status_changes")
    .select("state")
    .where("componentId", "=", componentId)
    .orderBy("at", "desc")
    .limit(1)
    .executeTakeFirst();
  const sent = await trx
    .selectFrom("status_sent")
    .select("state")
    .where("componentId", "=", componentId)
    .executeTakeFirst();
  return { last, known: sent?.state ?? "operational" };
}

async function noteSent(trx: Trx, row: Selectable<StatusSentTable>): Promise<void> {
  await trx
    .insertInto("status_sent")
    .values(row)
    .onConflict((conflict) => conflict.column("componentId").doUpdateSet(row))
    .execute();
}

async function sendBatch(parts: MailParts, job: RunningJob): Promise<typeof COMPLETED> {
  const { db, jobs, clock, statusPages } = parts;
  const { projectId, after, expiresAt, ...mail } = job.payload as MailPayload;
  await db.write(async (trx) => {
    const project = await trx
      .selectFrom("projects")
      .select("slug")
      .where("id", "=", projectId)
      .where("deletedAt", "is", null)
      .executeTakeFirst();
    const document = statusPages.of(projectId)?.document;
    const isWanted = project && document?.enabled && document.subscriptions && clock.now() < expiresAt;
    const rows = isWanted
      ? await trx
          .selectFrom("status_subscribers")
          .selectAll()
          .where("projectId", "=", projectId)
          .where("confirmedAt", "is not", null)
          .where("id", ">", after)
          .orderBy("id")
          .limit(BATCH)
          .execute()
      : [];
    for (const row of rows) await mailUpdate(parts, trx, row, project?.slug ?? "", { ...mail, expiresAt });
    const last = rows.length === BATCH ? rows.at(-1) : undefined;
    const next = { ...(job.payload as MailPayload), after: last?.id ?? "" };
    if (last)
      await jobs.enqueue(
        { queue: QUEUE, kind: MAIL_JOB, payload: next, runAt: clock.now(), priority: PRIORITY },
        { trx },
      );
    await jobs.complete(job, trx, { mails: rows.length });
  });
  return COMPLETED;
}

async function mailUpdate(
  parts: MailParts,
  trx: Trx,
  row: SubscriberRow,
  slug: string,
  { text, ...mail }: Pick<MailPayload, "subject" | "text" | "thread" | "expiresAt">,
): Promise<void> {
  const unsubscribe = linkOf(parts, slug, "unsubscribe", row.id);
  const body = `${text}\n${pageUrl(parts.settings.current.publicUrl, slug)}\n\nTo receive no more of these mails: ${unsubscribe}\n`;
  // RFC 8058 section 3.1 requires https for one click.
  const oneClick = unsubscribe.startsWith("https:") ? { "List-Unsubscribe-Post": "List-Unsubscribe=One-Click" } : {};
  const headers = { "List-Unsubscribe": `<${unsubscribe}>`, ...oneClick };
  const { projectId } = row;
  await enqueueMail(parts, { ...mail, projectId, to: addressOf(parts, row), text: body, headers }, trx);
}
