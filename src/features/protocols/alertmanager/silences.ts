import { PrismError } from "../../../core/errors.ts";
import { isUuid } from "../../../core/ids.ts";
import { type EpochMs, toRfc3339 } from "../../../core/time/clock.ts";
import { Reply } from "../../../http/api/route.ts";
import { parseJson } from "../../../http/body/input.ts";
import {
  isSameMatcher,
  type LabelRecord,
  type Matcher,
  matchesEmpty,
  parseAlertTime,
  preparePatterns,
  type SilenceAt,
  type SilenceDraft,
  silenceAt,
} from "../../alerts/index.ts";
import type { AlertmanagerOwn } from "./context.ts";
import type { QueryParameters } from "./query.ts";
import { empty, messageOf, orRefused, refused, unprocessable, unreadable } from "./replies.ts";

type SilenceParts = Pick<AlertmanagerOwn, "silences" | "clock">;

const STATES = ["active", "pending", "expired"] as const;

/** `GET /api/v2/silences`. A filter selects silences that have this very matcher. */
export async function listSilences(
  { silences, clock }: SilenceParts,
  query: QueryParameters,
  projectId: string,
): Promise<unknown> {
  const filter = await query.filter();
  if ("refusal" in filter) return filter.refusal;
  const states = STATES.filter((state) => query.flag(state));
  const now = clock.now();
  return (await silences.kept(projectId))
    .map((row) => silenceAt(row, now))
    .filter(({ state }) => states.includes(state))
    .filter(({ matchers }) =>
      filter.value.matchers.every((wanted) => matchers.some((each) => isSameMatcher(each, wanted))),
    )
    .sort(compareSilences)
    .map(silenceBody);
}

/** Active ones by end, then pending ones by start, then expired ones, the last one first. */
function compareSilences(left: SilenceAt, right: SilenceAt): number {
  if (left.state !== right.state) return STATES.indexOf(left.state) - STATES.indexOf(right.state);
  if (left.state === "active") return left.endsAt - right.endsAt;
  return left.state === "pending" ? left.startsAt - right.startsAt : right.endsAt - left.endsAt;
}

function silenceBody({ row, state, startsAt, endsAt, annotations, matchers }: SilenceAt): object {
  return {
    id: row.id,
    status: { state },
    updatedAt: toRfc3339(row.updatedAt),
    ...(Object.keys(annotations).length > 0 ? { annotations } : {}),
    comment: row.comment,
    createdBy: row.createdBy,
    endsAt: toRfc3339(endsAt),
    matchers: matchers.map(matcherBody),
    startsAt: toRfc3339(startsAt),
  };
}

function matcherBody({ name, operator, value }: Matcher): object {
  return { isEqual: operator === "=" || operator === "=~", isRegex: operator.endsWith("~"), name, value };
}

/** `GET /api/v2/silence/{id}` */
export async function getSilence({ silences, clock }: SilenceParts, projectId: string, id: string): Promise<unknown> {
  if (!isUuid(id)) return notUuid(id);
  const row = await silences.find(id);
  return row?.projectId === projectId ? silenceBody(silenceAt(row, clock.now())) : new Reply(404, undefined);
}

/** `DELETE /api/v2/silence/{id}`, also of an expired one. Of a recurring one it ends the window. */
export async function deleteSilence(
  { silences }: SilenceParts,
  projectId: string,
  id: string,
): Promise<Reply<unknown>> {
  if (!isUuid(id)) return notUuid(id);
  try {
    await silences.expireSpan(projectId, id);
  } catch (error) {
    if (isUnknown(error)) return new Reply(404, undefined);
    throw error;
  }
  return empty();
}

function notUuid(id: string): Reply<unknown> {
  return unprocessable("type", `silenceID in path must be of type uuid: ${JSON.stringify(id)}`);
}

function isUnknown(error: unknown): boolean {
  return error instanceof PrismError && error.code === "SILENCE_NOT_FOUND";
}

/** Refusals of Alertmanager's schema. */
class Refused extends Error {
  override readonly name = "Refused";
  readonly reply: Reply<unknown>;

  constructor(reply: Reply<unknown>) {
    super("refused");
    this.reply = reply;
  }
}

/**
 * `POST /api/v2/silences`. Every refusal is a 400 with its reason: amtool shows no other.
 * @param caller whether it has `silences:broad`.
 */
export async function postSilence(
  { silences, clock }: SilenceParts,
  body: Buffer,
  { projectId, mayBeBroad }: { readonly projectId: string; readonly mayBeBroad: boolean },
): Promise<unknown> {
  try {
    const { id, ...read } = readSilence(body, clock.now());
    if (await matchesNothing(read.matchers))
      return refused(400, "silence invalid: at least one matcher must not match the empty string");
    const draft = { ...read, projectId, kind: "silence", recurrence: null } as const;
    const { silence } = await silences.set(draft, { id, mayBeBroad, seesWindow: true });
    return { silenceID: silence.id };
  } catch (error) {
    if (error instanceof Refused) return error.reply;
    if (isUnknown(error)) return refused(404, "silence not found");
    if (error instanceof PrismError && REASONS.has(error.code)) return refused(400, messageOf(error));
    throw error;
  }
}

const REASONS: ReadonlySet<string> = new Set(["VALIDATION_FAILED", "LIMIT_REACHED", "UNAUTHORIZED_ROLE"]);

interface ReadSilence extends Omit<SilenceDraft, "projectId" | "kind" | "recurrence"> {
  readonly id: string | undefined;
}

/** @throws Refused with Alertmanager's answer */
function readSilence(body: Buffer, now: EpochMs): ReadSilence {
  if (body.length === 0) throw new Refused(unprocessable("required", "silence in body is required"));
  const value = objectOf(body);
  const text = (name: string): string => {
    const member = value[name];
    if (member === undefined || member === null) throw required(`${name} in body`);
    if (typeof member !== "string") throw misshapen(`${name} is not a string`);
    return member;
  };
  const read = {
    comment: text("comment"),
    createdBy: text("createdBy"),
    endsAt: timeOf("endsAt", text("endsAt")),
    matchers: matchersOf(value["matchers"]),
    startsAt: timeOf("startsAt", text("startsAt")),
    annotations: annotationsOf(value["annotations"]),
    id: value["id"] === undefined || value["id"] === "" ? undefined : text("id"),
  };
  checkTimes(read, now);
  return read;
}

/** An invalid pattern is refused later, with its position. */
async function matchesNothing(matchers: readonly Matcher[]): Promise<boolean> {
  await preparePatterns(matchers);
  const found = await orRefused("", async () => matchesEmpty(matchers));
  return "value" in found && found.value;
}

function objectOf(body: Buffer): Readonly<Record<string, unknown>> {
  try {
    const value = parseJson(body);
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return value as Readonly<Record<string, unknown>>;
  } catch (error) {
    if (!(error instanceof PrismError)) throw error;
    throw misshapen(error.message);
  }
  throw misshapen("it is not an object");
}

/** @returns Go's zero time as an instant in the past, which it is */
function timeOf(name: string, text: string): EpochMs {
  const at = parseAlertTime(text);
  if (at === undefined) throw misshapen(`${name} is not a date-time: ${JSON.stringify(text.slice(0, 40))}`);
  return at ?? 0;
}

/** Alertmanager's checks of times, in its order and words. */
function checkTimes({ startsAt, endsAt }: { startsAt: EpochMs; endsAt: EpochMs }, now: EpochMs): void {
  const problem =
    startsAt >= endsAt ? "start time must be before end time" : endsAt < now ? "end time can't be in the past" : null;
  if (problem) throw new Refused(refused(400, `Failed to create silence: ${problem}`));
}

function matchersOf(given: unknown): readonly Matcher[] {
  if (given === undefined || given === null) throw required("matchers in body");
  if (!Array.isArray(given)) throw misshapen("matchers is not an array");
  if (given.length === 0) throw new Refused(unprocessable("few", "matchers in body should have at least 1 items"));
  return given.map((each: unknown, at) => {
    if (typeof each !== "object" || each === null) throw misshapen(`matchers.${at} is not an object`);
    const { isEqual, isRegex, name, value } = each as Readonly<Record<string, unknown>>;
    if (isRegex === undefined || isRegex === null) throw required(`matchers.${at}.isRegex in body`);
    if (name === undefined || name === null) throw required(`matchers.${at}.name in body`);
    if (value === undefined || value === null) throw required(`matchers.${at}.value in body`);
    if (typeof name !== "string" || typeof value !== "string" || typeof isRegex !== "boolean")
      throw misshapen(`matchers.${at} has a member of another type`);
    const isNegative = isEqual === false;
    return { name, operator: isRegex ? (isNegative ? "!~" : "=~") : isNegative ? "!=" : "=", value };
  });
}

function annotationsOf(given: unknown): LabelRecord {
  if (given === undefined || given === null) return {};
  if (typeof given !== "object" || Array.isArray(given)) throw misshapen("annotations is not an object");
  if (!Object.values(given).every((text) => typeof text === "string"))
    throw misshapen("annotations has a value that is not a string");
  return given as LabelRecord;
}

function required(name: string): Refused {
  return new Refused(unprocessable("required", `${name} is required`));
}

function misshapen(problem: string): Refused {
  return new Refused(unreadable("silence", problem));
}
