// Control characters but \n and \t, and the bidirectional marks, overrides and isolates (Unicode TR
// 36 section 2.4).
const REMOVED = /(?![\n\t])\p{Cc}|[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]/gu;
// With the u flag a pair is one code point, so only a lone half is of the category Surrogate.
const LONE_SURROGATE = /\p{Cs}/gu;
const PLAIN = /^[\t\n -~]*$/;

/**
 * Text as Prism keeps it (contract 12.7): NFC, without control characters, bidirectional overrides
 * and lone surrogates.
 */
export function cleanText(text: string): string {
  if (PLAIN.test(text)) return text;
  // Normalised last: what stood on both sides of a removed character may compose.
  return text.replace(LONE_SURROGATE, "").replace(REMOVED, "").normalize("NFC");
}

/** Length in Unicode code points, which is what every limit on a text counts. */
export function codePointLength(text: string): number {
  let length = text.length;
  for (let i = 0; i < text.length - 1; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0xd800 && unit < 0xdc00) {
      const next = text.charCodeAt(i + 1);
      if (next >= 0xdc00 && next < 0xe000) {
        length--;
        i++;
      }
    }
  }
  return length;
}
