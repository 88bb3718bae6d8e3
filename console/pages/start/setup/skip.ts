const KEY = "prism.setup.mail";

/** How the step was left without a mail server that is known to work; null: it was not. */
export type MailNote = "skipped" | "untested" | null;

/** Kept in this browser. */
export function mailNote(): MailNote {
  const note = localStorage.getItem(KEY);
  return note === "skipped" || note === "untested" ? note : null;
}

export function noteMail(note: MailNote): void {
  if (note === null) localStorage.removeItem(KEY);
  else localStorage.setItem(KEY, note);
}
