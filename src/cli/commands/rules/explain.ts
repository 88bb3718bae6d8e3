import type { Command } from "commander";
import type { AlertExplanation, Explanation } from "../../../client/api-types.gen.ts";
import { countText } from "../../../core/text/clean-text.ts";
import type { ServerClient } from "../../../remote/server-client.ts";
import { unlessHidden } from "../../on-server.ts";
import { CommandError, EXIT, ServerRefused } from "../../output/exit-codes.ts";
import { type Output, printable } from "../../output/output.ts";
import { localTime, withLocalTimes } from "../../output/text.ts";
import { single } from "../../resource.ts";

type RuleView = Explanation["rules"][number];
type NotificationView = Explanation["notifications"][number];
type RecipientView = NotificationView["recipients"][number];
type DeliveryView = RecipientView["deliveries"][number];

/** Why a user was notified, or was not. */
export function addExplain(program: Command): void {
  single(program, "explain", {
    text: "show what an event, a notification, an incident or an alert led to, and why a user was notified or not",
    about: "Recipients see their own part; the full view needs events:read and notifications:read_all.",
    examples: [
      "0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60",
      "12 --project ops",
      "0198c1de-7a11-7c3e-8f00-1b2c3d4e5f60 --user anna",
    ],
    args: { id: ["<id>", "id of an event, a notification, an incident or an alert, or the number of an incident"] },
    flags: {
      user: ["--user <user>", "also show why this user was notified or not: id, username or me"],
      projectId: ["--project <project>", "project of the incident's number: id or slug"],
    },
    async run({ server, out, given: { id, user, projectId } }) {
      const view = await explained(server, String(id), { userId: user as string | undefined, projectId });
      if ("incidents" in view) {
        const { explanationLines } = await import("../alerts/alerts.ts");
        return out.result(view, () => explanationLines(view, out));
      }
      const project = out.json || !view.event ? "" : await slugOf(server, view.event.projectId);
      out.result(view, () => explainText(view, project, out));
    },
  });
}

/** The slug of a project, or its id if the caller may not read it, as a recipient may not. */
async function slugOf(server: ServerClient, projectId: string): Promise<string> {
  const project = await unlessHidden(server.get<{ slug: string }>(`/api/v1/projects/${projectId}`));
  return project?.slug ?? projectId;
}

const NUMBER = /^#?\d+$/;

/** An id does not show its type: tries each, an event first. A number is that of an incident. */
async function explained(
  server: ServerClient,
  id: string,
  { userId, projectId }: { readonly userId: string | undefined; readonly projectId: unknown },
): Promise<Explanation | AlertExplanation> {
  const get = <T>(kind: string, query?: { userId: string | undefined }) =>
    // Recipients may not read incidents and alerts.
    found(server.get<T>(`/api/v1/explain/${kind}/${encodeURIComponent(id)}`, query), query ? [404] : [403, 404]);
  if (NUMBER.test(id)) {
    const { findIncident } = await import("../alerts/shared.ts");
    const { id: incidentId } = await findIncident(server, id, { projectId });
    return server.get<AlertExplanation>(`/api/v1/explain/incident/${incidentId}`, { userId });
  }
  const alert = () => get<AlertExplanation>("alert");
  const event = await get<Explanation>("event", { userId });
  // The event of its opening has the id of the alert.
  if (event?.event?.type === "alert.opened" && userId === undefined) return (await alert()) ?? event;
  const view =
    event ??
    (await get<Explanation>("notification", { userId })) ??
    (await get<AlertExplanation>("incident", userId === undefined ? undefined : { userId })) ??
    (await alert());
  if (view) return view;
  const message = `there is no event, notification, incident or alert ${id}, or none that you may see`;
  throw new CommandError(EXIT.notFound, message);
}

/** Undefined if the server refuses with one of these statuses, though not because of the user. */
async function found<T>(answer: Promise<T>, statuses: readonly number[]): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    const isHidden = error instanceof ServerRefused && statuses.includes(error.status);
    if (isHidden && error.code !== "USER_NOT_FOUND") return undefined;
    throw error;
  }
}

/** Limit of recipients in the text of one notification; `--json` has more. */
const SHOWN_RECIPIENTS = 10;
const SHOWN_VALUES = 6;
/** Limit of rules that did not match, with their values. */
const SHOWN_SILENT = 10;

/** The timeline of an event or a notification, for a person on call. The answer comes last. */
function explainText(view: Explanation, project: string, out: Output): string[] {
  const parts = [
    eventLines(view, project, out),
    ruleLines(view, out),
    ...view.notifications.map((notification) => notificationLines(notification, out)),
    userLines(view, out),
    [out.bold(clean(view.answer))],
  ];
  return parts.filter((lines) => lines.length > 0).flatMap((lines, at) => (at === 0 ? lines : ["", ...lines]));
}

function eventLines({ event }: Explanation, project: string, out: Output): string[] {
  if (!event) return [];
  const source = event.source === null ? "" : ` from ${printable(event.source)}`;
  const lines = [
    out.bold(`Event ${event.id}`),
    `  ${printable(event.type)} (${event.level})${source}, project ${project}`,
    `  ${localTime(event.occurredAt)}  occurred`,
    `  ${localTime(event.receivedAt)}  received, offset ${event.seq}`,
  ];
  if (event.decidedAt !== null) lines.push(`  ${localTime(event.decidedAt)}  rules decided`);
  if (event.state === "waiting") lines.push(`  ${out.yellow("waiting for the rules")}`);
  if (event.failure) {
    const { attempts, lastError } = event.failure;
    lines.push(
      `  ${out.red(`the rules failed on it in ${countText(attempts, "attempt")}`)}: ${printable(lastError ?? "unknown")}`,
    );
  }
  return lines;
}

function ruleLines({ rules, rulesLeftOut, event, scope }: Explanation, out: Output): string[] {
  if (!event) return [];
  const matched = rules.filter(({ at }) => at !== null);
  const silent = rules.filter(({ at }) => at === null);
  const lines = [out.bold(scope === "own" ? "Rules that notified you" : `Rules that matched: ${matched.length}`)];
  lines.push(...matched.flatMap((rule) => ruleText(rule, out)));
  if (silent.length > 0) {
    lines.push("", out.bold(`Other rules: ${silent.length}`));
    lines.push(...silent.slice(0, SHOWN_SILENT).flatMap((rule) => ruleText(rule, out)));
  }
  const hidden = rulesLeftOut + Math.max(0, silent.length - SHOWN_SILENT);
  if (hidden > 0) lines.push(`  and ${hidden} more`);
  return lines;
}

function ruleText(rule: RuleView, out: Output): string[] {
  const { outcome, name, version, reason, suppression, earlier, trace, notificationId } = rule;
  const head = `  ${colour(outcome, out)}  ${printable(name)}${version === null ? "" : ` (version ${version})`}`;
  const lines = [head, `      ${clean(reason)}`];
  if (suppression?.matchesInWindow) lines.push(`      ${suppression.matchesInWindow} matches in its window then`);
  const storm = suppression?.storm;
  if (storm) {
    const end = storm.closedAt === null ? "still active" : `over at ${localTime(storm.closedAt)}`;
    lines.push(`      the storm started at ${localTime(storm.startedAt)}, ${end}`);
    if (storm.noticeId !== null) lines.push(`      notice ${storm.noticeId} reports it`);
  }
  if (earlier) lines.push(`      earlier: ${printable(earlier.title)} (${localTime(earlier.createdAt)})`);
  const { alert } = rule;
  if (alert) {
    const labels = Object.entries(alert.labels).map(([name, value]) => `${name}="${value}"`);
    lines.push(`      alert ${printable(labels.join(", "))}`);
  }
  if (notificationId !== null) lines.push(`      notification ${notificationId}`);
  if (outcome !== "condition false" && trace) {
    const values = trace.trace.map(({ text, value }) => `${printable(text)} = ${printable(JSON.stringify(value))}`);
    // A condition may read one path several times.
    lines.push(...[...new Set(values)].slice(0, SHOWN_VALUES).map((each) => `      ${out.dim(each)}`));
  }
  return lines;
}

function colour(outcome: RuleView["outcome"], out: Output): string {
  if (outcome === "fired" || outcome === "alert-resolved") return out.green(outcome);
  if (outcome === "alert-opened") return out.red(outcome);
  return outcome === "error" || outcome === "no recipients" ? out.red(outcome) : out.yellow(outcome);
}

function notificationLines(notification: NotificationView, out: Output): string[] {
  const { id, title, createdAt, aggregateCount, counts, storm, recipients, channels } = notification;
  const lines = [out.bold(`Notification ${id}`), `  ${printable(title)}`, `  ${localTime(createdAt)}  created`];
  if (aggregateCount > 1) lines.push(`  it summarizes ${aggregateCount} events`);
  if (storm) lines.push(`  it reports ${storm.heldBack} suppressed matches`);
  lines.push(
    `  ${countText(counts.recipients, "recipient")}: ` +
      `${counts.delivered} reached live, ${counts.read} read it, ${counts.acknowledged} acknowledged it`,
  );
  for (const { channel, state, reason, count } of channels)
    lines.push(`  ${channel} ${state}: ${count}${reason === null ? "" : ` (${printable(reason)})`}`);
  lines.push(...recipients.slice(0, SHOWN_RECIPIENTS).flatMap((each) => recipientLines(each)));
  const hidden = counts.recipients - Math.min(recipients.length, SHOWN_RECIPIENTS);
  if (hidden > 0) lines.push(`    and ${hidden} more`);
  return lines;
}

function recipientLines(recipient: RecipientView): string[] {
  const { name, delivered, deliveredAt, readAt, acknowledgedAt, acknowledgeNote, deletedAt, deliveries, unreachable } =
    recipient;
  const note = acknowledgeNote === null ? "" : `: ${printable(acknowledgeNote)}`;
  const marks = [
    delivered ? `reached live${at(deliveredAt)}` : "not reached live",
    ...(readAt === null ? [] : [`read${at(readAt)}`]),
    ...(acknowledgedAt === null ? [] : [`acknowledged${at(acknowledgedAt)}${note}`]),
    ...(deletedAt === null ? [] : [`deleted${at(deletedAt)}`]),
  ];
  const reach = unreachable === null ? [] : [`      ${unreachable.text}`];
  return [`    ${printable(name)}: ${marks.join(", ")}`, ...reach, ...deliveries.flatMap(deliveryLines)];
}

function deliveryLines({ channel, state, reason, attempts, lastError, updatedAt, history }: DeliveryView): string[] {
  const why = reason ?? lastError;
  const because = why === null ? "" : `: ${printable(why)}`;
  const head = `      ${localTime(updatedAt)}  ${channel} ${state} after ${countText(attempts, "attempt")}${because}`;
  return [
    head,
    ...history.map(
      ({ attempt, startedAt, outcome, error }) =>
        `        ${localTime(startedAt)}  attempt ${attempt} ${outcome}` +
        (error === null ? "" : `: ${printable(error)}`),
    ),
  ];
}

function userLines({ user }: Explanation, out: Output): string[] {
  if (!user) return [];
  const head = `${printable(user.name)} was ${user.told ? "notified" : "not notified"}`;
  return [user.told ? out.green(head) : out.red(head), ...user.reasons.map((reason) => `  ${clean(reason)}`)];
}

function at(time: string | null): string {
  return time === null ? "" : ` at ${localTime(time)}`;
}

function clean(text: string): string {
  return printable(withLocalTimes(text));
}
