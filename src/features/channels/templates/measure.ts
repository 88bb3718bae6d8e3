/** The unit in which a service counts its texts. */
export type TextUnit = "utf16" | "codepoints" | "bytes" | "gsm";

/** GSM 03.38: one septet each, and those of the extension table, which take two. */
const GSM = new Set(
  "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà",
);
const GSM_EXTENDED = new Set("^{}\\[~]|€");
/** A part of a long SMS holds 153 septets, or 67 units of UCS-2. */
const UCS2_SEPTETS = 153 / 67;
/** Made on first use: it takes several milliseconds. */
let segmenter: Intl.Segmenter | undefined;

export function measure(text: string, unit: TextUnit): number {
  switch (unit) {
    case "utf16":
      return text.length;
    case "bytes":
      return Buffer.byteLength(text);
    case "gsm":
      return septets(text);
    case "codepoints": {
      let count = 0;
      for (const _ of text) count += 1;
      return count;
    }
  }
}

function septets(text: string): number {
  let count = 0;
  for (const char of text) {
    if (GSM.has(char)) count += 1;
    else if (GSM_EXTENDED.has(char)) count += 2;
    else return Math.ceil(text.length * UCS2_SEPTETS);
  }
  return count;
}

/**
 * Shortens a text to `limit` units, at a word where one is near, never within a character that
 * readers see as one (an emoji with its modifiers).
 */
export function cutTo(text: string, limit: number, unit: TextUnit): string {
  if (measure(text, unit) <= limit) return text;
  const end = unit === "gsm" ? "..." : "…";
  // A code point has two units of UTF-16 at most, so more of them never fit.
  let [low, high] = [0, Math.min(text.length, 2 * limit + 2)];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (measure(text.slice(0, middle) + end, unit) <= limit) low = middle;
    else high = middle - 1;
  }
  const kept = text.slice(0, boundaryAt(text, low));
  if (kept === "") return "";
  const word = kept.search(/\s\S*$/);
  return (word > kept.length * 0.8 ? kept.slice(0, word) : kept).trimEnd() + end;
}

/** Characters that are read as one are shorter than this. */
const WINDOW = 128;

/** The last position at or before `index` that is not within a character as readers see it. */
function boundaryAt(text: string, index: number): number {
  if (index >= text.length) return text.length;
  const start = Math.max(0, index - WINDOW);
  const around = text.slice(start, index + WINDOW);
  segmenter ??= new Intl.Segmenter("en", { granularity: "grapheme" });
  return start + (segmenter.segment(around).containing(index - start)?.index ?? 0);
}

const TRANSLITERATED: Readonly<Record<string, string>> = {
  "…": "...",
  "–": "-",
  "—": "-",
  "‘": "'",
  "’": "'",
  "“": '"',
  "”": '"',
  "„": '"',
  "•": "-",
  "→": "->",
  "\t": " ",
  "`": "'",
};

/** Letters of an SMS of 160 characters, for those that have a near equivalent. */
export function toGsm(text: string): string {
  return Array.from(text, (char) => {
    if (GSM.has(char) || GSM_EXTENDED.has(char)) return char;
    const plain = TRANSLITERATED[char] ?? char.normalize("NFD").replace(/\p{M}/gu, "");
    return [...plain].every((each) => GSM.has(each) || GSM_EXTENDED.has(each)) ? plain : char;
  }).join("");
}
