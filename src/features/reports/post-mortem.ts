import { readFile } from "node:fs/promises";
import type { PermissionHolder } from "../../core/caller.ts";
import type { Context } from "../../module/feature.ts";
import { rowsOf } from "../../store/database.ts";
import { getIncident } from "../alerts/index.ts";
import { Refusal } from "../rules/index.ts";
import type { PostMortem } from "./post-mortem-schema.ts";
import { postMortemText } from "./post-mortem-text.ts";

export type PostMortemContext = Context<
  "projects" | "policies" | "incidents" | "alerts" | "withheldBy" | "explainIncident"
>;

const RESPONSES: ReadonlySet<string> = new Set(["acknowledged", "snoozed", "reassigned"]);

/** @throws INCIDENT_NOT_FOUND */
export async function postMortemOf(
  context: PostMortemContext,
  caller: PermissionHolder,
  id: string,
): Promise<PostMortem> {
  const found = await getIncident(context, caller, id);
  const explained = await context.explainIncident(caller, id);
  const [project] = await rowsOf<{ slug: string }>(context.db.read, "select slug from projects where id = ?", [
    found.projectId,
  ]);
  const response = found.timeline.find(
    ({ kind, actor }) => RESPONSES.has(kind) || (kind === "resolved" && actor !== null),
  );
  const end = found.resolvedAt === null ? context.clock.now() : Date.parse(found.resolvedAt);
  const facts = {
    ...{ id, number: found.number, title: found.title, project: project?.slug ?? found.projectId },
    ...{ policy: found.policy.name, severity: found.severity, state: found.state, openedAt: found.openedAt },
    ...{ notifiedAt: found.notifiedAt, firstAckAt: response?.at ?? null, resolvedAt: found.resolvedAt },
    lastedMs: Math.max(0, end - Date.parse(found.openedAt)),
    timeline: (explained.incidents[0]?.lines ?? []).map(({ at, text }) => ({ at, text })),
    people: found.audience.map(({ name, acknowledged }) => ({ name, acknowledged })),
    alerts: found.alertList.map(({ labels, startsAt, resolvedAt }) => ({
      labels: { ...labels },
      startsAt,
      resolvedAt,
    })),
    notes: found.timeline
      .filter(({ kind }) => kind === "note")
      .map(({ at, data }) => ({ at, text: String(data["text"] ?? "") })),
  };
  return { ...facts, markdown: await markdownOf(context, facts) };
}

/** A template that cannot be read or is wrong gives way to that of Prism: the facts matter more. */
async function markdownOf({ settings, log }: PostMortemContext, facts: Omit<PostMortem, "markdown">): Promise<string> {
  const file = settings.current.reports.postMortem;
  if (file === undefined) return postMortemText(facts);
  try {
    return postMortemText(facts, await readFile(file, "utf8"));
  } catch (error) {
    const reason = error instanceof Refusal ? error.message : error;
    log.warn({ err: reason }, "cannot use the template reports.postMortem");
    return postMortemText(facts);
  }
}
