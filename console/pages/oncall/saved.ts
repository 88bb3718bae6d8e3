import { invalidate } from "../../app/query.ts";
import { toast } from "../../ui/index.ts";
import { nameOf, type Warned } from "./oncall-types.ts";

/** Reloads what is shown of on-call, and says whom a change puts on call on days off. */
export function showSaved(text: string, { warnings = [] }: Warned): void {
  invalidate("/oncall");
  const names = [...new Set(warnings.map(({ user }) => nameOf(user)))];
  if (names.length === 0) toast.ok(text);
  else toast.info(`${text} On call while away: ${names.join(", ")}.`);
}
