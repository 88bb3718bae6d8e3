import { confirm, toast } from "../ui/index.ts";
import { api, PrismError } from "./api.ts";

interface Question {
  readonly title: string;
  /** Consequence of the deletion. */
  readonly text?: string;
  /** The verb on the button. */
  readonly action?: string;
  /** A word that must be typed first. */
  readonly typed?: string;
  /** The error after which the user can still force it, and the consequence. */
  readonly inUse?: { readonly code: string; readonly text: string };
  /** Shown afterwards. */
  readonly done?: string;
}

/** Asks, sends DELETE to the path, and continues with `then`. */
export async function confirmDelete(path: string, question: Question, then: () => unknown): Promise<void> {
  const { action = "Delete", inUse, done, ...rest } = question;
  if (!(await confirm({ ...rest, action, danger: true }))) return;
  try {
    await api.del(path);
  } catch (error) {
    if (!(error instanceof PrismError) || error.code !== inUse?.code) throw error;
    const users = error.details.map(({ message = "" }) => message).join(", ");
    const text = `${users.charAt(0).toUpperCase()}${users.slice(1)}. ${inUse.text}`;
    if (!(await confirm({ title: rest.title, text, action: `${action} anyway`, danger: true }))) return;
    await api.del(path, { force: true });
  }
  if (done !== undefined) toast.ok(done);
  await then();
}
