import type { TokenList } from "./tokens.ts";

/** A member name, and what follows it with dashes and without spaces. */
const DASHED = /\.([A-Za-z_$][A-Za-z0-9_$]*(?:-[A-Za-z0-9_$]+)+)/g;

/**
 * How the member is written that token `index` is a part of, where that is a name with dashes such as `event.content-type`.
 *
 * @returns such as `["content-type"]`; undefined where there is none
 */
export function dashedName(tokens: TokenList, index: number): string | undefined {
  if (!tokens.isSymbol(index - 1, "-")) return undefined;
  const { start } = tokens.at(index);
  for (const match of tokens.source.matchAll(DASHED)) {
    if (match.index < start && start < match.index + match[0].length) return `["${match[1]}"]`;
  }
  return undefined;
}
