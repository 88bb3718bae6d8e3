import { confirm, toast } from "../ui/index.ts";
import { api } from "./api.ts";

interface Question {
  readonly title: string;
  /** What is lost. */
  readonly text?: string;
  /** The verb on the button. */
  readonly action?: string;
  /** A word that must be typed first. */
  readonly typed?: string;
  /** Shown afterwards. */
  readonly done?: string;
}

/** Asks, sends DELETE to the path, and continues with `then`. */
export async function confirmDelete(path: string, question: Question, then: () => unknown): Promise<void> {
  const { action = "Delete", done, ...rest } = question;
  if (!(await confirm({ ...rest, action, danger: true }))) return;
  await api.del(path);
  if (done !== undefined) toast.ok(done);
  await then();
}
