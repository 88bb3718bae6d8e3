/** What the API says of a member that requests give. */
export interface BodyMember {
  readonly kind: "text" | "number" | "flag" | "choice" | "texts" | "labels" | "object" | "other";
  /** Its description, without the default. */
  readonly text?: string;
  /** A request that creates must have it. */
  readonly required?: boolean;
  readonly nullable?: boolean;
  /** Of the characters of a text, or of a number. */
  readonly least?: number;
  readonly most?: number;
  readonly choices?: readonly string[];
  /** Its default. */
  readonly initial?: unknown;
  /** Of an object, or of each object of a list. */
  readonly members?: BodyMembers;
}

export type BodyMembers = Readonly<Record<string, BodyMember>>;

/** What the API says of the requests that create and change a thing of the type `T`. */
export interface Described<T> {
  /** Where requests create it, below `/api/v1`. */
  readonly path: string;
  /** How requests change it. */
  readonly change?: string;
  readonly members: Readonly<Record<keyof T & string, BodyMember>>;
}

/** The defaults of a new thing. */
export function initialOf(members: BodyMembers): object {
  const known = Object.entries(members).filter(([, { initial, nullable }]) => initial !== undefined || nullable);
  return Object.fromEntries(known.map(([name, { initial = null }]) => [name, initial]));
}

/** What an empty control gives. */
export function emptyOf({ kind, nullable }: BodyMember): unknown {
  if (nullable) return null;
  if (kind === "texts") return [];
  return kind === "labels" ? {} : "";
}

/** Words of the console for members of many things. */
const WORDS: Readonly<Record<string, string>> = {
  email: "Mail address",
  phone: "Phone number",
  timezone: "Time zone",
  url: "URL",
};

/** `ackExpiresMs`: "Ack expires". */
export function wordsOf(name: string): string {
  const known = WORDS[name];
  if (known !== undefined) return known;
  const plain = name.replace(/(?<=[a-z])(?:Ms|At|Id)$/, "");
  return capital(plain.replace(/(?<=[a-z])[A-Z]/g, (sign) => ` ${sign.toLowerCase()}`));
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** The label of a member and what it means: a flag is named by the first sentence about it. */
export function wordingOf(
  name: string,
  { kind, text = "" }: BodyMember,
  label?: string,
): { label: string; hint: string } {
  if (kind !== "flag" || label !== undefined) {
    const named = label ?? wordsOf(name);
    return { label: named, hint: text === named ? "" : sentences(text) };
  }
  const [first = "", ...rest] = text.split(/; |\. /);
  return { label: capital(first.replace(/^Whether /, "")), hint: sentences(capital(rest.join("; "))) };
}

/** In a form, null is an empty field. */
function sentences(text: string): string {
  const plain = text.replace(/(?:default )?\bnull\b/g, "empty");
  return plain === "" || plain.endsWith(".") ? plain : `${plain}.`;
}
