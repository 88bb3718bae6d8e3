import type { ComponentChildren } from "preact";
import { cx } from "./dom.ts";
import type { AccentTone } from "./types.ts";

export interface TimelineItem {
  readonly key?: string | undefined;
  readonly tone?: AccentTone | undefined;
  /** At the right: an offset such as "+1.1 ms". */
  readonly time?: ComponentChildren;
  readonly title: ComponentChildren;
  readonly sub?: ComponentChildren;
  readonly children?: ComponentChildren;
  /** It has not happened yet. */
  readonly pending?: boolean | undefined;
}

/** What happened, step by step, and the answer in one sentence at the end. */
export function Timeline({
  items,
  answer,
  label = "What happened",
}: {
  readonly items: readonly TimelineItem[];
  readonly answer?: ComponentChildren;
  readonly label?: string | undefined;
}) {
  return (
    <>
      <ol class="story" aria-label={label}>
        {items.map((item, index) => (
          <li key={item.key ?? `${index}`} class={cx(item.tone ?? "accent", item.pending && "pending")}>
            <span class="dot" aria-hidden="true" />
            <div class="story-head">
              <div class="story-t" dir="auto">
                {item.title}
              </div>
              {item.time !== undefined && <span class="story-time">{item.time}</span>}
            </div>
            {item.sub !== undefined && (
              <div class="story-s" dir="auto">
                {item.sub}
              </div>
            )}
            {item.children}
          </li>
        ))}
      </ol>
      {answer !== undefined && <Answer>{answer}</Answer>}
    </>
  );
}

/** The sentence that answers the question. */
export function Answer({
  tone = "accent",
  children,
}: {
  readonly tone?: AccentTone | undefined;
  readonly children?: ComponentChildren;
}) {
  return (
    <div class={`answer ${tone}`} dir="auto">
      {children}
    </div>
  );
}

export interface ConditionProps {
  readonly text: string;
  readonly result?: boolean | "error" | "skipped" | undefined;
  /** The values that its paths had. */
  readonly values?:
    | readonly { readonly path: string; readonly value?: unknown; readonly missing?: boolean }[]
    | undefined;
  /** Where reading or evaluating it stopped. */
  readonly error?: { readonly position?: number | undefined; readonly message: string } | undefined;
}

const TOKEN =
  /('(?:[^'\\]|\\.)*'?|"(?:[^"\\]|\\.)*"?)|(\d+(?:\.\d+)?)|([\p{L}_$][\p{L}\p{N}_$]*(?:[.[\]][\p{L}\p{N}_$.[\]]*)?)/gu;
const WORDS = new Set(
  "and or not in contains startsWith endsWith matches like between is has exists true false null".split(" "),
);

/** The condition in coloured parts; all of them plain text. */
export function highlightCondition(text: string): ComponentChildren[] {
  const parts: ComponentChildren[] = [];
  let from = 0;
  for (const match of text.matchAll(TOKEN)) {
    const [token, quoted, number] = match;
    if (match.index > from) parts.push(text.slice(from, match.index));
    from = match.index + token.length;
    const isCall = text[from] === "(";
    const look =
      quoted !== undefined ? "c-s" : number !== undefined ? "c-n" : WORDS.has(token) || isCall ? "c-w" : "c-p";
    parts.push(<span class={look}>{token}</span>);
  }
  parts.push(text.slice(from));
  return parts;
}

const RESULT_TONE = { true: "ok", false: "plain", error: "bad", skipped: "plain" } as const;

/** A rule's condition with its result and the values it saw. */
export function Condition({ text, result, values = [], error }: ConditionProps) {
  const word = result === undefined ? undefined : (String(result) as keyof typeof RESULT_TONE);
  return (
    <div class="cond">
      <div class="cond-row">
        <code dir="ltr">{highlightCondition(text)}</code>
        {word !== undefined && <span class={`cond-r ${RESULT_TONE[word]}`}>{word}</span>}
      </div>
      {error !== undefined && (
        <div class="cond-error" dir="auto">
          {error.position !== undefined && (
            <code aria-hidden="true">
              {text.slice(Math.max(0, error.position - 12), error.position)}
              <mark>{text.slice(error.position, error.position + 12) || " "}</mark>
            </code>
          )}{" "}
          {error.message}
        </div>
      )}
      {values.length > 0 && (
        <dl class="cond-values">
          {values.map(({ path, value, missing }) => (
            <div key={path}>
              <dt dir="auto">{path}</dt>
              <dd dir="auto" class={cx(missing && "faint")}>
                {missing === true ? "not in the event" : JSON.stringify(value)}
              </dd>
            </div>
          ))}
        </dl>
      )}
    </div>
  );
}
