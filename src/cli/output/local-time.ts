/** A time as the clock on the wall of this terminal shows it, with its offset: `2026-03-29 03:00:05.250 +02:00`. */
export function localTime(rfc3339: string): string {
  const at = new Date(rfc3339);
  const offset = -at.getTimezoneOffset();
  const wall = new Date(at.getTime() + offset * 60_000).toISOString();
  const [hours, minutes] = [Math.floor(Math.abs(offset) / 60), Math.abs(offset) % 60].map((part) =>
    String(part).padStart(2, "0"),
  );
  return `${wall.slice(0, 10)} ${wall.slice(11, 23)} ${offset < 0 ? "-" : "+"}${hours}:${minutes}`;
}

/** A sentence of the server's with its times as {@link localTime}. */
export function withLocalTimes(text: string): string {
  return text.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, localTime);
}
