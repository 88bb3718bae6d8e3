/** Of one byte in Latin-1, the last of those, of three bytes in UTF-8, and outside of UTF-16's units. */
export const LETTERS = ["é", "ÿ", "你", "🙂"] as const;

/**
 * Texts of a letter in the forms in which V8 keeps texts: with one byte or two for each character, in
 * one piece, as a part of another text, or as two that are joined. An addon that copies the bytes of
 * one of these forms destroys it.
 *
 * @param most bytes in UTF-8
 */
export function textsOf(letter: string, most: number): Readonly<Record<string, string>> {
  const count = Math.floor((most - 30) / Buffer.byteLength(letter));
  const many = letter.repeat(count);
  return {
    alone: letter,
    long: Buffer.from(many).toString(),
    joined: `${many}<${letter}`,
    "a part of a text with one byte for each character": `-${many}`.slice(1),
    "a part of a text with two bytes for each character": `你${many}`.slice(1),
    "beside letters of one byte": `a ${letter} z`,
    "beside letters of three bytes": `你${letter}你`,
  };
}
