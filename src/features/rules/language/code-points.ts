/** Index of the unit that follows the first `count` code points of `text`, or -1 where the text has no more than these. */
export function unitsOfCodePoints(text: string, count: number): number {
  if (text.length <= count) return -1;
  let at = 0;
  for (let seen = 0; seen < count && at < text.length; seen++) {
    at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
  }
  return at < text.length ? at : -1;
}

/** Cuts `text` to at most `count` (≥ 1) code points, the last of them `…` where something was left out. */
export function cutText(text: string, count: number): string {
  if (unitsOfCodePoints(text, count) === -1) return text;
  return `${text.slice(0, unitsOfCodePoints(text, count - 1))}…`;
}

/** `text` with U+FFFD for every surrogate that stands alone, so that it can be written as UTF-8 and read back equal. */
export function wellFormed(text: string): string {
  return text.replace(/\p{Surrogate}/gu, "\ufffd");
}
