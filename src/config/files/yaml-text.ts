import { Document, Scalar, stringify, visit } from "yaml";
import { UNPRINTABLE } from "../../core/text/clean-text.ts";

/** YAML for files and terminals: what would control a terminal or turn the direction of text is escaped. */
export function yamlText(value: unknown): string {
  const plain = stringify(value);
  const isSafe = [...plain.matchAll(UNPRINTABLE)].every(([character]) => character === "\n");
  if (isSafe) return plain;
  const document = new Document(value);
  visit(document, {
    Scalar(_key, node) {
      // Only texts in double quotes have escapes.
      if (typeof node.value === "string" && node.value.replaceAll("\n", "").search(UNPRINTABLE) >= 0)
        node.type = Scalar.QUOTE_DOUBLE;
    },
  });
  return document
    .toString()
    .replace(UNPRINTABLE, (each) => (each === "\n" ? each : `\\u${each.charCodeAt(0).toString(16).padStart(4, "0")}`));
}
