import type { ComponentChildren } from "preact";
import type { Project } from "../../app/projects.ts";
import { projectName } from "./data.ts";
import { changedMembers, type Member } from "./draft.ts";
import type { Definition } from "./types.ts";
import { MEMBER_LABELS, memberText } from "./words.ts";

type Part = { readonly kind: "same" | "gone" | "new"; readonly text: string };

const MAX_TOKENS = 400;

/** The words of two texts that stay, go and come: the longest common subsequence. */
export function wordDiff(before: string, after: string): readonly Part[] {
  const left = before.match(/\s+|[\p{L}\p{N}_$.]+|[^\s\p{L}\p{N}]/gu) ?? [];
  const right = after.match(/\s+|[\p{L}\p{N}_$.]+|[^\s\p{L}\p{N}]/gu) ?? [];
  if (left.length > MAX_TOKENS || right.length > MAX_TOKENS)
    return [
      { kind: "gone", text: before },
      { kind: "new", text: after },
    ];
  return joined(walk(left, right, lengths(left, right)));
}

/** Entry [i][j]: the length of the common subsequence of left from i and right from j. */
function lengths(left: readonly string[], right: readonly string[]): readonly Uint16Array[] {
  const table = Array.from({ length: left.length + 1 }, () => new Uint16Array(right.length + 1));
  for (let i = left.length - 1; i >= 0; i--) {
    const [row, below] = [table[i], table[i + 1]];
    if (!row || !below) continue;
    for (let j = right.length - 1; j >= 0; j--)
      row[j] = left[i] === right[j] ? (below[j + 1] ?? 0) + 1 : Math.max(below[j] ?? 0, row[j + 1] ?? 0);
  }
  return table;
}

function walk(left: readonly string[], right: readonly string[], table: readonly Uint16Array[]): readonly Part[] {
  const parts: Part[] = [];
  let i = 0;
  let j = 0;
  while (i < left.length || j < right.length) {
    const isSame = i < left.length && left[i] === right[j];
    const keepsMore = (table[i + 1]?.[j] ?? -1) >= (table[i]?.[j + 1] ?? -1);
    if (isSame) {
      parts.push({ kind: "same", text: left[i] ?? "" });
      i += 1;
      j += 1;
    } else if (i < left.length && (j >= right.length || keepsMore)) parts.push({ kind: "gone", text: left[i++] ?? "" });
    else parts.push({ kind: "new", text: right[j++] ?? "" });
  }
  return parts;
}

function joined(parts: readonly Part[]): readonly Part[] {
  const runs: Part[] = [];
  for (const part of parts) {
    const last = runs.at(-1);
    if (last?.kind === part.kind) runs[runs.length - 1] = { kind: part.kind, text: last.text + part.text };
    else runs.push(part);
  }
  return runs;
}

const IN_WORDS = new Set<Member>(["condition", "titleTemplate", "messageTemplate", "description"]);
const IN_CODE = new Set<Member>(["condition", "titleTemplate", "messageTemplate"]);

export interface DiffProps {
  readonly before: Definition;
  readonly after: Definition;
  readonly names: ReadonlyMap<string, string>;
  readonly projects: readonly Project[];
}

/** The members that differ between two definitions, the removed and added words marked. */
export function DefinitionDiff({ before, after, names, projects }: DiffProps) {
  const textOf = (definition: Definition, member: Member) =>
    memberText(definition, member, names, (id) => projectName(projects, id));
  return (
    <dl>
      {changedMembers(before, after).map((member) => (
        <div class="diff-row" key={member}>
          <dt>{MEMBER_LABELS[member]}</dt>
          <dd class={IN_CODE.has(member) ? "mono" : ""} dir="auto">
            <Change before={textOf(before, member)} after={textOf(after, member)} inWords={IN_WORDS.has(member)} />
          </dd>
        </div>
      ))}
    </dl>
  );
}

/** Old and new value of one member. */
export function Change({
  before,
  after,
  inWords,
}: {
  readonly before: string;
  readonly after: string;
  readonly inWords: boolean;
}) {
  const parts: readonly Part[] = inWords
    ? wordDiff(before, after)
    : [
        { kind: "gone", text: before },
        { kind: "same", text: " " },
        { kind: "new", text: after },
      ];
  return (
    <>
      {parts.map((part, index): ComponentChildren => {
        const key = `${index} ${part.kind}`;
        if (part.text === "") return null;
        if (part.kind === "gone") return <del key={key}>{part.text}</del>;
        return part.kind === "new" ? <ins key={key}>{part.text}</ins> : <span key={key}>{part.text}</span>;
      })}
    </>
  );
}
