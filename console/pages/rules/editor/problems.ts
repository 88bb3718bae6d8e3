import { type EditorState, RangeSet, StateEffect, StateField, type Text } from "@codemirror/state";
import { Decoration, type DecorationSet, EditorView, GutterMarker, gutter } from "@codemirror/view";

/** A problem of the condition, at its position. */
export interface Problem {
  readonly position: number;
  readonly message: string;
  readonly severity: "error" | "warning";
}

/** Replaces the shown problems. */
export const showProblems = StateEffect.define<readonly Problem[]>();

const TOKEN = /^(?:[\w$.]+|'[^']*'?|"[^"]*"?|.)/;

/** The token at the position; at the end of the text the last character, because a mark needs one. */
function rangeOf(doc: Text, position: number): { readonly from: number; readonly to: number } | null {
  if (doc.length === 0) return null;
  const from = Math.min(position, doc.length - 1);
  const length = TOKEN.exec(doc.sliceString(from, from + 200))?.[0].length ?? 1;
  return { from, to: Math.min(doc.length, from + length) };
}

function marksOf({ doc }: EditorState, problems: readonly Problem[]): DecorationSet {
  const marks = problems.flatMap(({ position, message, severity }) => {
    const range = rangeOf(doc, position);
    const mark = Decoration.mark({ class: `problem problem-${severity}`, attributes: { title: message }, severity });
    return range ? [mark.range(range.from, range.to)] : [];
  });
  return Decoration.set(marks, true);
}

const field = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(marks, transaction) {
    for (const effect of transaction.effects)
      if (effect.is(showProblems)) return marksOf(transaction.state, effect.value);
    return marks.map(transaction.changes);
  },
  provide: (own) => EditorView.decorations.from(own),
});

class Sign extends GutterMarker {
  readonly severity: string;

  constructor(severity: string) {
    super();
    this.severity = severity;
  }

  override eq(other: Sign): boolean {
    return other.severity === this.severity;
  }

  override toDOM(): Node {
    const sign = document.createElement("span");
    sign.className = `sign sign-${this.severity}`;
    sign.textContent = "!";
    return sign;
  }
}

const SIGNS = { error: new Sign("error"), warning: new Sign("warning") } as const;

/** Marks in the text and a sign beside each line that has one. */
export const problemMarks = [
  field,
  gutter({
    class: "signs",
    markers(view) {
      const lines = new Map<number, Sign>();
      view.state.field(field).between(0, view.state.doc.length, (from, _to, { spec }) => {
        const line = view.state.doc.lineAt(from).from;
        const { severity } = spec as Problem;
        if (severity === "error" || !lines.has(line)) lines.set(line, SIGNS[severity]);
      });
      return RangeSet.of([...lines].map(([from, sign]) => sign.range(from)));
    },
  }),
];
