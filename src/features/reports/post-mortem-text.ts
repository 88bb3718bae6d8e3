import { spanText } from "../../core/time/clock.ts";
import { FILTERS, pathText, Refusal, readTemplate, type TemplatePlace, throughFilters } from "../rules/index.ts";
import type { PostMortem } from "./post-mortem-schema.ts";
import type { Readable } from "./range.ts";

/* The text of a post-mortem. Values come from senders and people: none of them is markup. */

/** Headings that people fill are empty. */
export const DEFAULT_TEMPLATE = `# Incident {{ number }}: {{ title }}

| | |
| --- | --- |
| Project | {{ project }} |
| Policy | {{ policy }} |
| Severity | {{ severity | default:'none' }} |
| Opened | {{ openedAt }} |
| First page | {{ notifiedAt | default:'none' }} |
| First response | {{ firstAckAt | default:'none' }} |
| Ended | {{ resolvedAt | default:'not yet' }} |
| Lasted | {{ lasted }} |

## Summary

## Impact

## Root cause

## Timeline (UTC)

{{ timeline }}

## People

{{ people }}

## Alerts

{{ alerts }}

## Notes

{{ notes }}

## What went well

## What went wrong

## Actions
`;

const NAMES = [
  ...(["number", "title", "project", "policy", "severity", "state", "openedAt", "notifiedAt", "firstAckAt"] as const),
  ...(["resolvedAt", "lasted", "timeline", "people", "alerts", "notes"] as const),
] as const;
type Name = (typeof NAMES)[number];

const PLACE: TemplatePlace<Name> = {
  filters: FILTERS,
  most: { placeholders: 200, filters: 5 },
  path(tokens, index) {
    const { text, start, next } = pathText(tokens, index);
    const name = NAMES.find((each) => each === text.trim());
    if (name === undefined) throw new Refusal("UNKNOWN_NAME", start, `there is no ${text.trim()}`, [...NAMES]);
    return { path: name, next };
  },
};

/** @param template with `{{ }}` @throws Refusal */
export function postMortemText(
  of: Readable<Omit<PostMortem, "markdown">>,
  template: string = DEFAULT_TEMPLATE,
): string {
  const values: Readonly<Record<Name, string | null>> = {
    ...{ number: String(of.number), title: plain(of.title), project: plain(of.project), policy: plain(of.policy) },
    ...{ severity: of.severity, state: of.state, openedAt: of.openedAt, notifiedAt: of.notifiedAt },
    ...{ firstAckAt: of.firstAckAt, resolvedAt: of.resolvedAt, lasted: spanText(of.lastedMs) },
    timeline: list(of.timeline.map(({ at, text }) => [timeText(at), plain(text)].join(" ").trim())),
    people: list(of.people.map(({ name, acknowledged }) => plain(name) + (acknowledged ? ", acknowledged" : ""))),
    alerts: list(
      of.alerts.map(
        ({ labels, startsAt, resolvedAt }) => `${labelText(labels)}: ${startsAt} to ${resolvedAt ?? "now"}`,
      ),
    ),
    notes: list(of.notes.map(({ at, text }) => [timeText(at), plain(text)].join(" ").trim())),
  };
  return readTemplate(template, PLACE)
    .map((part) => (typeof part === "string" ? part : String(throughFilters(values[part.path], part.calls) ?? "")))
    .join("");
}

/** In UTC, to the second. */
function timeText(at: string | null): string {
  return at === null ? "" : at.slice(0, 19).replace("T", " ");
}

function list(lines: readonly string[]): string {
  return lines.length === 0 ? "None." : lines.map((line) => `- ${line}`).join("\n");
}

function labelText(labels: Readonly<Record<string, string>>): string {
  return plain(
    Object.entries(labels)
      .map(([name, value]) => `${name}=${value}`)
      .join(", "),
  );
}

/** One line without markup (CommonMark section 2.4). */
function plain(text: string): string {
  return text.replace(/\s+/g, " ").replace(/[\\`*_[\]<>#|~]/g, "\\$&");
}
