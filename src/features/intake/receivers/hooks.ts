import { parseWithLongIntegers } from "../../../core/text/long-integer.ts";
import { stateOf } from "../../../core/vocabulary.ts";
import type { JsonMembers } from "../../../http/input.ts";
import type { LoadedPreset } from "./presets.ts";
import { type PushContent, readPush } from "./push.ts";
import { type RequestContent, requireFewMembers } from "./read-request.ts";
import { readCard } from "./senders/card.ts";
import { discordMessage, slackMessage } from "./senders/chat.ts";
import { readKnown } from "./senders/known.ts";
import { objectOf, textIn } from "./senders/members.ts";
import { readByEnds } from "./senders/unknown.ts";

type HookInput = Pick<RequestContent, "body" | "text" | "files"> & {
  /** Only of a whole request. */
  readonly push?: PushContent | undefined;
};

/** Result of a preset's hook; mappings see it as `parsed`. */
export function parsedBy(
  hook: LoadedPreset["hook"],
  { body, text, files, push }: HookInput,
  maxMembers: number,
): unknown {
  switch (hook) {
    case "slack":
      return slackMessage(objectOf(body) ?? { text });
    case "discord":
      return discordMessage(objectOf(body) ?? { content: text }, files);
    case "sns":
      return snsContent(objectOf(body), maxMembers);
    case "known":
      return readCard(body) ?? readKnown(body) ?? (push ? readPush(push) : null) ?? hintsIn(body);
    default:
      return null;
  }
}

/** What helps a mapping that finds usual names only. A body that is read by these alone is not understood. */
function hintsIn(body: unknown): unknown {
  if (typeof body !== "object" || body === null) return null;
  const { what, word, state, reason, link, subject } = readByEnds(body);
  const said = ["status", "state", "current_state", "alert_state"].map((name) => textIn(objectOf(body), name));
  const given = said.find((each) => each !== null) ?? "";
  const hints = { word: state === null ? null : word, known: stateOf(given), reason, page: link, subject };
  return what !== null && IS_TEST.test(given) ? { ...hints, title: `Test: ${what}` } : hints;
}

/** `⚠️ Test`, the state that Uptime Kuma's button Test has. */
const IS_TEST = /^[^\p{L}\p{N}]{0,8}test[^\p{L}\p{N}]{0,8}$/iu;

/** A notification's text, as JSON if it is. */
function snsContent(body: JsonMembers | null, maxMembers: number): unknown {
  const message = textIn(body, "Message");
  if (message === null) return null;
  requireFewMembers(message, maxMembers);
  try {
    return parseWithLongIntegers(message);
  } catch {
    return message;
  }
}
