import * as k from "./kinds.ts";
import { option, optional } from "./option.ts";

const LIVE = { reloadable: true } as const;
const MINUTE = 60_000;

/** The heartbeat that Prism sends to a service outside. */
export const WATCH_OPTIONS = {
  url: optional(
    k.httpUrl(),
    "URL of a check at Healthchecks, Uptime Kuma or another Prism, called by GET while a test event passes through " +
      "the store, the incidents and the lane of pages in time",
    { secret: true, ...LIVE },
  ),
  everyMs: option(k.duration(1000, 60 * MINUTE), MINUTE, "interval of the calls of watch.url", LIVE),
  withinMs: option(
    k.duration(100, 10 * MINUTE),
    10_000,
    "how long the test event may take; after a longer time watch.url is not called",
    LIVE,
  ),
};

/**
 * The last resort when Prism itself cannot reach anyone. Not for the console: it must not depend on
 * the database.
 */
export const EMERGENCY_OPTIONS = {
  webhook: optional(
    k.httpUrl(),
    "URL that gets a POST with JSON (`text`, `reason`, `since` …) when Prism itself cannot reach anyone; any answer " +
      "of 200 to 299 accepts it",
    { secret: true, ...LIVE },
  ),
  command: optional(
    k.argumentList(),
    "program with its arguments, run without a shell for the same; the text is on its standard input, it is ended " +
      "after 10 s, and exit code 0 accepts it. In a variable: a JSON list, or the path of a program without arguments",
    { secret: true, ...LIVE },
  ),
  smtp: {
    host: optional(k.hostText(), "mail server for the same, better not the one of smtp.host", LIVE),
    port: option(k.integer(1, 65535), 587, "port of that mail server; 465 is TLS from the first byte", LIVE),
    user: optional(k.text(), "user name for that mail server", LIVE),
    pass: optional(k.text(), "password for that mail server", { secret: true, ...LIVE }),
    from: optional(k.sender(), "sender address; by default prism@<emergency.smtp.host>", LIVE),
    to: option(k.list(k.mailAddress), [], "mail addresses that get it, at least one with emergency.smtp.host", LIVE),
    secure: optional(k.boolean(), "TLS from the first byte; by default true if emergency.smtp.port is 465", LIVE),
    allowPlain: option(k.boolean(), false, "allows mail and password without TLS to a server on another machine", LIVE),
  },
  afterMs: option(
    k.duration(1000, 24 * 60 * MINUTE),
    5 * MINUTE,
    "how long a page may reach no one, and the server may be down with a page due, before `emergency` is used",
    LIVE,
  ),
};

const WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] as const;

/** The weekly test pages to people who are on call. */
export const DRILL_OPTIONS = {
  enabled: option(k.boolean(), true, "sends a drill each week to who is on call within 7 days", LIVE),
  day: option(k.oneOf(...WEEKDAYS), "wednesday", "day of weekly drills, for people who chose none", LIVE),
  hour: option(k.integer(0, 23), 11, "hour of weekly drills in each person's time zone, for the same people", LIVE),
};

/** Reports about incidents and the people who are paged. */
export const REPORT_OPTIONS = {
  people: option(
    k.oneOf("off", "self", "owners", "all"),
    "owners",
    "who sees the load of people in reports: no one, each person the own, owners that of their projects' people too, " +
      "or all who read a project",
    LIVE,
  ),
  night: option(k.hours(), "22:00-07:00", "hours that count as night, in the time zone of each person", LIVE),
  holidays: optional(k.text(), "iCalendar file with days that count as weekends", LIVE),
  postMortem: optional(k.text(), "Markdown file with {{ }} that is the template of post-mortems", LIVE),
};
