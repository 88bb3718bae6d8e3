import { useEffect, useState } from "preact/hooks";
import type { RuleTest } from "../../../../src/client/api-types.gen.ts";
import { api, PrismError } from "../../../app/api.ts";
import type { Problem } from "../editor/problems.ts";
import type { Definition } from "../types.ts";

/** An event to test on: a stored one, or one written by the author. */
export type TriedEvent = { readonly eventId: string } | { readonly event: object };

/** The server's answer about a draft. */
export interface Trial {
  readonly result: RuleTest | undefined;
  /** Errors and warnings of the condition. */
  readonly problems: readonly Problem[];
  /** Errors of templates, by member. */
  readonly templateErrors: Readonly<Partial<Record<"titleTemplate" | "messageTemplate", string>>>;
  /** A failure that is not about the draft. */
  readonly failure: unknown;
  readonly isPending: boolean;
}

interface PositionedDetail {
  readonly path?: string;
  readonly message?: string;
  readonly position?: number;
  readonly expected?: readonly string[];
}

const EMPTY: Trial = { result: undefined, problems: [], templateErrors: {}, failure: undefined, isPending: false };
const DELAY_MS = 250;

type Tried = Pick<Definition, "condition" | "titleTemplate" | "messageTemplate">;

/** Tests a draft on the server when typing pauses. @param subject null: only checks the draft */
export function useTrial(draft: Tried, subject: TriedEvent | null): Trial {
  const [trial, setTrial] = useState(EMPTY);
  const { condition, titleTemplate, messageTemplate } = draft;
  const key = JSON.stringify([condition, titleTemplate, messageTemplate, subject]);
  useEffect(() => {
    if (condition.trim() === "") {
      setTrial(EMPTY);
      return;
    }
    const stopper = new AbortController();
    setTrial((last) => ({ ...last, isPending: true }));
    const timer = setTimeout(async () => {
      const next = await tryDraft({ condition, titleTemplate, messageTemplate }, subject, stopper.signal);
      if (!stopper.signal.aborted) setTrial(next);
    }, DELAY_MS);
    return () => {
      stopper.abort();
      clearTimeout(timer);
    };
  }, [key]);
  return trial;
}

async function tryDraft(draft: Tried, subject: TriedEvent | null, signal: AbortSignal): Promise<Trial> {
  const templates = { title: draft.titleTemplate, message: draft.messageTemplate };
  const send = (part: object) =>
    api.post<RuleTest>(
      "/rules/test",
      { condition: draft.condition, ...(subject ?? { event: {} }), ...part },
      {},
      { signal },
    );
  try {
    return withResult(await send({ templates }));
  } catch (error) {
    if (!(error instanceof PrismError) || error.code !== "INVALID_TEMPLATE") return refused(error);
    // The condition's result is shown beside the template's problem.
    const result = await send({}).catch(() => undefined);
    const detail = detailOf(error);
    const member = detail.path === "title" ? "titleTemplate" : "messageTemplate";
    const trial = result ? withResult(result) : EMPTY;
    return { ...trial, templateErrors: { [member]: detail.message ?? error.message } };
  }
}

function withResult(result: RuleTest): Trial {
  const problems = result.warnings.map(({ position, message }) => ({
    position,
    message,
    severity: "warning" as const,
  }));
  return { ...EMPTY, result, problems };
}

function refused(error: unknown): Trial {
  if (!(error instanceof PrismError) || error.code !== "INVALID_CONDITION") return { ...EMPTY, failure: error };
  const { position = 0, message, expected = [] } = detailOf(error);
  const hint = expected.length === 0 ? "" : `; expected ${expected.join(" or ")}`;
  return { ...EMPTY, problems: [{ position, message: (message ?? error.message) + hint, severity: "error" }] };
}

function detailOf({ details }: PrismError): PositionedDetail {
  return (details[0] ?? {}) as PositionedDetail;
}
