import {
  Decoration,
  type DecorationSet,
  type EditorView,
  MatchDecorator,
  ViewPlugin,
  type ViewUpdate,
} from "@codemirror/view";
import { FUNCTIONS } from "./help.ts";

/** String, number, path, word or operator, in this order. */
const TOKEN =
  /('(?:[^'\\]|\\.)*'?|"(?:[^"\\]|\\.)*"?)|(\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|(event(?![\w$])(?:\.[A-Za-z_$][\w$]*)*)|([A-Za-z_$][\w$]*)/g;

const mark = (name: string) => Decoration.mark({ class: `tok-${name}` });
const MARKS = {
  text: mark("text"),
  number: mark("number"),
  path: mark("path"),
  keyword: mark("keyword"),
  function: mark("function"),
} as const;

function markOfWord(word: string): Decoration | null {
  if (/^(?:and|or|not|in)$/.test(word)) return MARKS.keyword;
  if (/^(?:true|false|null)$/.test(word)) return MARKS.number;
  return Object.hasOwn(FUNCTIONS, word) ? MARKS.function : null;
}

const tokens = new MatchDecorator({
  regexp: TOKEN,
  decoration: ([, text, number, path, word = ""]) => {
    if (text !== undefined) return MARKS.text;
    if (number !== undefined) return MARKS.number;
    return path === undefined ? markOfWord(word) : MARKS.path;
  },
});

/**
 * Colours of the rule language. The server alone decides what is valid, so a list of tokens is
 * enough: a grammar would double the size of the editor's code.
 */
export const ruleLanguage = ViewPlugin.fromClass(
  class {
    decorations: DecorationSet;

    constructor(view: EditorView) {
      this.decorations = tokens.createDeco(view);
    }

    update(update: ViewUpdate) {
      this.decorations = tokens.updateDeco(update, this.decorations);
    }
  },
  { decorations: (plugin) => plugin.decorations },
);
