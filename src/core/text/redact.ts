/** Replaces a secret. */
export const HIDDEN = "•••";
/** Shorter values would hide parts of ordinary words. */
const LEAST_LENGTH = 4;
const LEAST_PART = 8;

export type Redact = (text: string) => string;

/**
 * Replaces secrets by value in every form in which a request or an answer may hold them: as they
 * are, percent-encoded, as in a form, in base64, inside JSON, and the parts of secret URLs.
 * @param more other texts made from secrets, such as the value of a header
 */
export function redactorOf(secrets: readonly string[], more: readonly string[] = []): Redact {
  const forms = new Set<string>();
  for (const secret of secrets) for (const part of partsOf(secret)) for (const form of formsOf(part)) forms.add(form);
  for (const text of more) for (const form of formsOf(text)) forms.add(form);
  const ordered = [...forms].filter((form) => form.length >= LEAST_LENGTH).sort((a, b) => b.length - a.length);
  const shortest = ordered.at(-1)?.length ?? Number.POSITIVE_INFINITY;
  return (text) =>
    text.length < shortest ? text : ordered.reduce((result, form) => result.replaceAll(form, HIDDEN), text);
}

function partsOf(secret: string): string[] {
  if (!URL.canParse(secret)) return [secret, ...secret.split(":").filter((part) => part.length >= LEAST_PART)];
  const { pathname, searchParams } = new URL(secret);
  const path = pathname.split("/").flatMap((part) => [part, decoded(part)]);
  return [secret, ...[...path, ...searchParams.values()].filter((part) => part.length >= LEAST_PART)];
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function formsOf(text: string): string[] {
  const base64 = Buffer.from(text).toString("base64");
  const encoded = encodeURIComponent(text);
  const asForm = new URLSearchParams([["", text]]).toString().slice(1);
  const asJson = JSON.stringify(text).slice(1, -1);
  const escapedSlashes = asJson.replaceAll("/", "\\/");
  const unpadded = base64.replace(/=+$/, "");
  const urlSafe = unpadded.replaceAll("+", "-").replaceAll("/", "_");
  return [text, encoded, asForm, asJson, escapedSlashes, base64, unpadded, urlSafe, encodeURIComponent(base64)];
}

/** `•••• 4f2a`: enough to recognise a long secret. */
export function maskOf(secret: string): string {
  return secret.length >= 20 ? `•••• ${secret.slice(-4)}` : "••••";
}
