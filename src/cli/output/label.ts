import { cleanText, codePointLength } from "../../core/clean-text.ts";
import { CommandError, EXIT } from "./exit-codes.ts";

const MAX_LABEL = 100;

/** The name of a token or key as it is kept. @throws CommandError 7 when it is empty or longer than 100 characters */
export function requireLabel(text: string, flag: string): string {
  const label = cleanText(text).trim();
  if (label === "" || codePointLength(label) > MAX_LABEL)
    throw new CommandError(EXIT.conflict, `${flag} must be 1 to ${MAX_LABEL} characters long`);
  return label;
}

/** @throws CommandError 7 for an end that has passed */
export function requireFuture(at: number | undefined): void {
  if (at !== undefined && at <= Date.now())
    throw new CommandError(EXIT.conflict, `--expires ${new Date(at).toISOString()} has passed`);
}
