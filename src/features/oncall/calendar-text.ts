import type { EpochMs } from "../../core/clock.ts";

/** An event of a calendar file. */
export interface CalendarEvent {
  readonly uid: string;
  readonly start: EpochMs;
  readonly end: EpochMs;
  readonly summary: string;
  readonly description?: string;
}

export interface Calendar {
  readonly name: string;
  readonly timezone: string;
  /** When the data last changed. The text has no other time, so that equal data give equal text. */
  readonly changedAt: EpochMs;
  readonly events: readonly CalendarEvent[];
}

/** A calendar file (RFC 5545). All times are in UTC. */
export function calendarText({ name, timezone, changedAt, events }: Calendar): string {
  const lines = [
    "BEGIN:VCALENDAR",
    "VERSION:2.0",
    "PRODID:-//Prism//On-call//EN",
    "CALSCALE:GREGORIAN",
    "METHOD:PUBLISH",
    `X-WR-CALNAME:${escaped(name)}`,
    `X-WR-TIMEZONE:${timezone}`,
    "REFRESH-INTERVAL;VALUE=DURATION:PT1H",
    ...events.flatMap((event) => eventLines(event, changedAt)),
    "END:VCALENDAR",
  ];
  return `${lines.map(folded).join("\r\n")}\r\n`;
}

function eventLines({ uid, start, end, summary, description }: CalendarEvent, changedAt: EpochMs): string[] {
  return [
    "BEGIN:VEVENT",
    `UID:${uid}`,
    `DTSTAMP:${utc(changedAt)}`,
    `DTSTART:${utc(start)}`,
    `DTEND:${utc(end)}`,
    `SUMMARY:${escaped(summary)}`,
    ...(description ? [`DESCRIPTION:${escaped(description)}`] : []),
    "END:VEVENT",
  ];
}

/** Such as `20261123T080000Z`. */
function utc(at: EpochMs): string {
  return `${new Date(at).toISOString().slice(0, 19).replaceAll(/[-:]/g, "")}Z`;
}

/** RFC 5545 section 3.3.11. Other control characters are not allowed in a text. */
function escaped(text: string): string {
  return text
    .replaceAll(/[\\;,]/g, "\\$&")
    .replaceAll(/\r\n|\n|\r/g, "\\n")
    .replaceAll(/\p{Cc}/gu, "");
}

const MAX_OCTETS = 75;

/** RFC 5545 section 3.1: lines of at most 75 octets, cut between characters. */
function folded(line: string): string {
  if (Buffer.byteLength(line) <= MAX_OCTETS) return line;
  let text = "";
  let octets = 0;
  for (const character of line) {
    const size = Buffer.byteLength(character);
    if (octets + size > MAX_OCTETS) {
      text += "\r\n ";
      octets = 1;
    }
    text += character;
    octets += size;
  }
  return text;
}
