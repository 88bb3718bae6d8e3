import type { ModuleChannel } from "../../module/module-api.ts";
import type { NoticeText } from "./notice.ts";
import { type OutcomeClass, type Preset, readPreset } from "./preset.ts";
import { textOf } from "./templates/template.ts";

/** A channel of a module as a preset, with code in place of requests. @throws ValiError */
export function presetOfModule({ name, title, fields, rate, send }: ModuleChannel): Preset {
  const preset = readPreset({
    ...{ name, title, group: "generic", docs: "modules", ok: [{ status: 200 }] },
    setup: [
      `Install the module that adds ${title}.`,
      "Fill in the fields of the channel.",
      "Try it with a test message.",
    ],
    fields: fields.map((field) => ({ ...field })),
    // Never made: the module sends.
    send: { url: "https://module.invalid/" },
    ref: { ref: "$.ref" },
    rate: rate ?? { perSecond: 1, burst: 5 },
  });
  return { ...preset, code: send };
}

interface Result {
  readonly class: OutcomeClass;
  readonly error: string | null;
  readonly afterMs: number;
  readonly ref: Readonly<Record<string, string>> | null;
}

interface Message {
  readonly n: NoticeText;
  readonly id: string;
  readonly ref?: Readonly<Record<string, string>> | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Runs the code of a module. Its error names what becomes of the message. */
export async function sendByModule(
  code: ModuleChannel["send"],
  { n, id, ref, signal = new AbortController().signal }: Message,
  fields: Readonly<Record<string, string>>,
): Promise<Result> {
  try {
    const sent = await code(n, fields, { id, ref: ref?.["ref"], signal });
    const given = textOf(Object(sent).ref);
    return { class: "ok", error: null, afterMs: 0, ref: given === "" ? null : { ref: given } };
  } catch (thrown) {
    if (signal.aborted) throw thrown;
    return { ...classOf(thrown), error: thrown instanceof Error ? thrown.message : String(thrown), ref: null };
  }
}

function classOf(thrown: unknown): Pick<Result, "class" | "afterMs"> {
  const { permanent, disable, retryAfterMs } = Object(thrown) as Readonly<Record<string, unknown>>;
  if (disable === true) return { class: "gone", afterMs: 0 };
  if (permanent === true) return { class: "dead", afterMs: 0 };
  const isTime = typeof retryAfterMs === "number" && Number.isFinite(retryAfterMs) && retryAfterMs >= 0;
  return isTime ? { class: "wait", afterMs: retryAfterMs } : { class: "retry", afterMs: 0 };
}
