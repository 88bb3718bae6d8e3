import { autocompletion, completionKeymap } from "@codemirror/autocomplete";
import { history, historyKeymap, insertNewline } from "@codemirror/commands";
import { Compartment, EditorState } from "@codemirror/state";
import { EditorView, keymap, placeholder } from "@codemirror/view";
import { useEffect, useRef } from "preact/hooks";
import { useLatest } from "../../../ui/index.ts";
import type { KnownPath } from "../data.ts";
import { completions } from "./completion.ts";
import { ruleLanguage } from "./language.ts";
import { type Problem, problemMarks, showProblems } from "./problems.ts";
import { editorTheme } from "./theme.ts";

export interface ConditionEditorProps {
  /** At first; the editor then owns its text, and a new key replaces it. */
  readonly value: string;
  readonly onChange: (value: string) => void;
  /** Suggestions of the completion. */
  readonly paths: readonly KnownPath[];
  readonly problems: readonly Problem[];
  readonly readOnly?: boolean;
}

/** Limit of the language (docs/rules.md). */
const MAX_CHARACTERS = 4096;
const readOnlyState = new Compartment();

/** Outside of the shadow tree the page cannot see that a key was typed into a field. */
function keepFromPage(event: KeyboardEvent): boolean {
  if (!event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation();
  return false;
}

/**
 * The browser would give text that replaces a selection the inline style of the old text, which the
 * page's Content-Security-Policy refuses.
 */
function replaceSelection(event: InputEvent, view: EditorView): boolean {
  const isTyped = event.inputType === "insertText" && event.data !== null && event.cancelable;
  if (!isTyped || view.state.selection.main.empty || view.state.readOnly || view.composing) return false;
  event.preventDefault();
  view.dispatch({ ...view.state.replaceSelection(event.data ?? ""), userEvent: "input.type", scrollIntoView: true });
  return true;
}

/**
 * The condition with colours, completion and the server's problems at their position. It is in a
 * shadow tree: there the editor's style sheets are adopted, which the page's Content-Security-Policy
 * allows.
 */
export default function ConditionEditor(props: ConditionEditorProps) {
  const { problems, readOnly = false } = props;
  const host = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const latest = useLatest(props);

  useEffect(() => {
    const { current } = host;
    if (current === null) return;
    const root = current.shadowRoot ?? current.attachShadow({ mode: "open" });
    const state = EditorState.create({
      doc: latest.current.value,
      extensions: [
        ruleLanguage,
        history(),
        autocompletion({ override: [completions(() => latest.current.paths)], icons: false }),
        problemMarks,
        // Tab is not bound: it leaves the editor. The browser moves the cursor.
        keymap.of([...completionKeymap, ...historyKeymap, { key: "Enter", run: insertNewline }]),
        placeholder("event.type == 'payment.failed' and event.amount >= 1000"),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ "aria-label": "Condition", spellcheck: "false", dir: "ltr" }),
        EditorState.changeFilter.of((change) => change.newDoc.length <= MAX_CHARACTERS),
        readOnlyState.of(EditorState.readOnly.of(latest.current.readOnly ?? false)),
        editorTheme,
        EditorView.domEventHandlers({ keydown: keepFromPage, beforeinput: replaceSelection }),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) latest.current.onChange(update.state.doc.toString());
        }),
      ],
    });
    const editor = new EditorView({ state, parent: root, root });
    view.current = editor;
    return () => {
      editor.destroy();
      view.current = null;
    };
  }, []);

  useEffect(() => {
    view.current?.dispatch({ effects: readOnlyState.reconfigure(EditorState.readOnly.of(readOnly)) });
  }, [readOnly]);

  useEffect(() => {
    view.current?.dispatch({ effects: showProblems.of(problems) });
  }, [problems]);

  return <div class="rule-editor" ref={host} />;
}
