import { setTimeout as wait } from "node:timers/promises";
import { deleteRefused, placeOf, putBack, type RefusedRequest, refusedRequests } from "../../../cluster/spool/spool.ts";
import { sealedBoxOf } from "../../../config/load.ts";
import { redactText } from "../../../config/logger.ts";
import { parseJsonWithin } from "../../../core/text/json-text.ts";
import { toRfc3339 } from "../../../core/time/clock.ts";
import { type CommandContext, refuseUrl } from "../../context.ts";
import { CommandError, EXIT } from "../../output/exit-codes.ts";
import { cut, shortTime, table } from "../../output/output.ts";
import type { Values } from "../../resource.ts";
import { confirm } from "../access/prompt.ts";

/* Requests that this node took without a leader, and that the next leader refused. */

interface Chosen {
  readonly dataDir: string;
  readonly requests: readonly RefusedRequest[];
}

/** How long a command waits for the answer of the leader. */
const WAIT_MS = 30_000;
const LOOK_MS = 200;

/** Lists them, without their bodies. */
export async function clusterRefused(context: CommandContext, given: Values): Promise<void> {
  const { requests } = await chosen(context, given);
  const data = requests.map(viewOf);
  context.out.result({ data }, () =>
    data.length === 0
      ? ["No request was refused."]
      : table(
          ["NAME", "TAKEN", "REQUEST", "ANSWER", "REASON"],
          data.map(({ name, at, method, path, status, reason }) => [
            ...[name, shortTime(at), method === null ? "cannot be read" : cut(`${method} ${path}`, 80)],
            ...[status, reason === null ? null : cut(reasonText(reason), 80)],
          ]),
        ),
  );
}

/** Of an error in JSON its message and code. */
function reasonText(reason: string): string {
  const answer = parseJsonWithin(reason, 8) as { error?: { message?: unknown; code?: unknown } } | null | undefined;
  const { message, code } = answer?.error ?? {};
  return typeof message === "string" ? `${message} (${String(code)})` : reason;
}

/** Puts them back, and waits for what the leader says. @throws CommandError 8 when it refuses one again */
export async function sendRefused(context: CommandContext, given: Values): Promise<void> {
  const { dataDir, requests } = await chosen(context, given);
  const readable = requests.filter(({ request }) => request !== null).map(({ name }) => name);
  const question = `Send ${countOf(readable)} that the leader refused to it again?`;
  if (readable.length > 0) await confirmed(question, given);
  for (const name of readable) await putBack(dataDir, name);
  const places = (place: ReturnType<typeof placeOf>) => readable.filter((name) => placeOf(dataDir, name) === place);
  for (const end = performance.now() + WAIT_MS; places("waiting").length > 0 && performance.now() < end; )
    await wait(LOOK_MS);
  const result = { sent: places("sent"), refused: places("refused"), waiting: places("waiting") };
  context.out.result(result, () => [
    `The leader took ${countOf(result.sent)}.`,
    ...(result.waiting.length === 0
      ? []
      : [`${countOf(result.waiting)} wait: this node sends them once it runs and a node leads.`]),
  ]);
  if (result.refused.length > 0)
    throw new CommandError(
      EXIT.checkFailed,
      `the leader refused ${countOf(result.refused)} again: see prism cluster refused`,
    );
}

/** Deletes them for good. */
export async function removeRefused(context: CommandContext, given: Values): Promise<void> {
  const { dataDir, requests } = await chosen(context, given);
  const question = `Delete ${countOf(requests)} that the leader refused? Nothing else has them.`;
  if (requests.length > 0) await confirmed(question, given);
  for (const { name } of requests) await deleteRefused(dataDir, name);
  const deleted = requests.map(({ name }) => name);
  context.out.result({ deleted }, () => [`Deleted ${countOf(deleted)}.`]);
}

/** Those that are named, by name or its beginning; all without names. @throws CommandError 6 for an unknown name */
async function chosen(context: CommandContext, given: Values): Promise<Chosen> {
  const names = given["names"] as readonly string[];
  refuseUrl(context, "cluster refused");
  const { config } = context.loadConfig("encryption");
  const { dataDir } = config;
  const all = await refusedRequests(dataDir, sealedBoxOf(config));
  const unknown = names.find((name) => !all.some((each) => each.name.startsWith(name)));
  if (unknown !== undefined) throw new CommandError(EXIT.notFound, `no refused request is named ${unknown}`);
  const requests = names.length === 0 ? all : all.filter(({ name }) => names.some((each) => name.startsWith(each)));
  return { dataDir, requests };
}

async function confirmed(question: string, { yes }: Values): Promise<void> {
  if (yes !== true && !(await confirm(question)))
    throw new CommandError(EXIT.usage, "nothing was done; --yes does it without asking");
}

/** Paths of receivers and heartbeats have their tokens. */
function viewOf({ name, at, request }: RefusedRequest) {
  const { method, path, body, refusal } = request ?? {};
  return {
    ...{ name, at: toRfc3339(at), method: method ?? null, path: path === undefined ? null : redactText(path) },
    ...{ bytes: body?.length ?? null, status: refusal?.status ?? null, reason: refusal?.reason ?? null },
  };
}

function countOf(requests: readonly unknown[]): string {
  return requests.length === 1 ? "1 request" : `${requests.length} requests`;
}
