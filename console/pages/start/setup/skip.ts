import { WAYS, type Way } from "./phone/ways.ts";

const MAIL_KEY = "prism.setup.mail";
const PHONE_KEY = "prism.setup.phone";

/** How the step was left without a mail server that is known to work; null: it was not. */
export type MailNote = "skipped" | "untested" | null;

/** Kept in this browser. */
export function mailNote(): MailNote {
  const note = localStorage.getItem(MAIL_KEY);
  return note === "skipped" || note === "untested" ? note : null;
}

export function noteMail(note: MailNote): void {
  if (note === null) localStorage.removeItem(MAIL_KEY);
  else localStorage.setItem(MAIL_KEY, note);
}

/** The way by which the phone has rung; null: the step was not left. Kept in this browser. */
export function phoneNote(): Way | "skipped" | null {
  const note = localStorage.getItem(PHONE_KEY);
  return note === "skipped" ? note : (WAYS.find(({ value }) => value === note)?.value ?? null);
}

export function notePhone(note: Way | "skipped"): void {
  localStorage.setItem(PHONE_KEY, note);
}
