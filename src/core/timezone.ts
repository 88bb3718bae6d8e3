/** Whether a text names a zone of the IANA database, such as `Europe/Berlin`. Offsets (`+02:00`), which newer engines take as well, are none. */
export function isTimezone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }) !== null;
  } catch {
    return false;
  }
}
