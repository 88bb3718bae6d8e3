const KEY = "prism.setup.mail";

/** Mail is optional; that it was skipped is kept in this browser. */
export function isMailSkipped(): boolean {
  return localStorage.getItem(KEY) !== null;
}

export function skipMail(): void {
  localStorage.setItem(KEY, "skipped");
}
